"""Prints the table of docs/configuration.md."""

from voice_trio.settings import markdown_table

print(markdown_table(), end="")  # noqa: T201 - printing is what this module is for
