"""One voice session, from its admission to its last line in the log: connections, turn tasks, spend, telemetry."""
