"""Shared state in Redis: Lua scripts, driver, connection with its breaker, and writes replayed after an outage."""
