"""Floor 1: the wire formats. Pure: frames to values and back; no clock, no socket.

audio             PCM in base64
realtime          OpenAI's Realtime events (GA interface), for a client and for a server
realtime_server   the server's side of a Realtime session, under the embedded server and the scripted model
openai_client     the gateway to clients that speak OpenAI's protocol
voice             the gateway to clients that speak its own protocol
Audio passes as the base64 it came in, and is never encoded again.
"""
