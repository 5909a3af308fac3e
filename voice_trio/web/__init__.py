"""Floor 4: the ASGI application. The voice WebSocket is handled here directly; everything else by Quart-Trio."""
