"""`python -m voice_trio.cli` is `voice-trio`."""

from voice_trio.cli import main

main(prog_name="voice-trio")
