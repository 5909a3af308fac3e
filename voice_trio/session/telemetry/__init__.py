"""What is recorded of a session: timestamps, turn metrics, log lines, the summary and the session record."""
