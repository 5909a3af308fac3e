"""The upstream connection of a session: connecting with retries, the send queue, and both directions."""
