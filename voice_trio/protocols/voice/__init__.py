"""The voice protocol: events from our clients, events to them, and its JSON Schema."""
