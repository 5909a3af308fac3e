"""Floor 2: one foreign library a file, each behind a small protocol with an in-memory twin."""
