"""Passages that a remote knowledge base returned, kept and indexed on this machine."""
