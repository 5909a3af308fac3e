"""Floor 3: one voice session, from the question whether it may begin to the last line about it."""
