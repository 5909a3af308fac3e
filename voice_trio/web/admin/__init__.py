"""The HTTP routes of operators, and what they and the commands of `voice-trio` do to sessions and users."""
