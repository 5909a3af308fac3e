"""`voice-trio demo`: the gateway with an upstream, documents and a console page on this machine."""
