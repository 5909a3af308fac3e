"""Logs, metrics, traces, error reports, percentiles and the session webhook."""
