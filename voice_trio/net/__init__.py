"""Sockets: the link that a session sees, WebSockets the gateway opens, listening sockets, the one door to threads."""
