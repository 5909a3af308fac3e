"""What retrieval makes of texts against its transcript, tests/conversation/words.txt: every change is seen.

`python -m tests.support.word_stories` writes it anew.
"""

from __future__ import annotations

from tests.support.word_stories import FILE, lines


def test_texts_are_read_and_cut_as_it_is_written() -> None:
    assert list(lines()) == FILE.read_text().split("\n")[:-1]
