"""The embedded knowledge base: SQLite FTS5 with BM25 ranking."""
