"""Prints the table of docs/configuration.md; with the argument `env`, the file .env.example."""

import sys

from voice_trio.settings import markdown_table
from voice_trio.settings.env_example import env_example

print(env_example() if sys.argv[1:] == ["env"] else markdown_table(), end="")  # noqa: T201 - what this module is for
