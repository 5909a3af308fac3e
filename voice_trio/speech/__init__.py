"""Where speech begins and ends in a stream of sound, for the gateway and for the embedded server.

`choose` takes the best that is installed: webrtcvad with the `local` extra, else the energy of the sound.
"""
