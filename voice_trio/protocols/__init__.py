"""Floor 1: how each side spells a conversation on its wire. Pure: text in, values out and back; no clock, no socket.

`audio` knows PCM in base64, `realtime` OpenAI's Realtime GA events (both sides of them), `voice` the protocol of our
own clients. Audio moves as the text it came in: its length is taken from that text, and nobody decodes it on the way.
"""
