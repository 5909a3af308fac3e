"""`voice-trio knowledge`: imports documents into a knowledge base, lists, deletes and searches them."""

from voice_trio.cli.knowledge.commands import knowledge

__all__ = ["knowledge"]
