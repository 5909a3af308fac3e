"""Finding context while the user speaks: queries, prefetch, search latency, and the context item made of passages."""
