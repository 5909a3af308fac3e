"""A second upstream connection that only transcribes, so that words arrive while the user speaks."""
