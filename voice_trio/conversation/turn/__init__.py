"""One turn: what the user said, what was heard of its response, and what is recorded of it. Shared by both policies."""
