"""The client's connection of a session: events read within limits, events written in order."""
