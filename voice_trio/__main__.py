"""`python -m voice_trio` is the command `voice-trio`, for where its script is not on the path."""

from __future__ import annotations

from voice_trio.cli import main

if __name__ == "__main__":
    main(prog_name="voice-trio")
