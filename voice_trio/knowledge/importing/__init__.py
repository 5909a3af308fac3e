"""Documents into chunks: files found, read by format, cut, and written to a knowledge base."""
