"""Admission: authenticates a client, then refuses it or grants it a session."""
