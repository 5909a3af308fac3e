"""Prints the tables of docs/configuration.md; with the argument `env`, the file .env.example."""

import sys

from voice_trio.settings import markdown_tables
from voice_trio.settings.env_example import env_example

tables = "\n".join(f"{about}\n\n{table}" for about, table in markdown_tables().items())
print(env_example() if sys.argv[1:] == ["env"] else tables, end="")  # noqa: T201 - what this module is for
