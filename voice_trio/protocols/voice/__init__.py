"""The voice protocol of the gateway's own clients: its events in both directions, and its JSON Schema."""
