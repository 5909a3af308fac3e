"""The gateway leads: the conversation policy of the voice protocol. The gateway itself asks for each response."""
