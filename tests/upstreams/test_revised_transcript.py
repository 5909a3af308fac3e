"""Transcripts that are repeated and revised become words that are only added."""

from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from voice_trio.upstreams.revised_transcript import RevisedTranscript

WORDS = st.lists(st.sampled_from(["how", "warm", "Warm,", "must", "it", "be?"]), max_size=6).map(" ".join)


def added(*versions: str) -> list[str]:
    words = RevisedTranscript()
    return [words.revised("a", version) for version in versions]


def test_a_word_counts_once_two_versions_have_it() -> None:
    assert added("Hello?", "Hello, my name is", "Hello, my name is Charlie.") == ["", " Hello,", " my name is"]


def test_a_word_that_is_revised_waits_for_the_next_version() -> None:
    assert added("how worm", "how warm must", "how warm must it") == ["", " how", " warm must"]


def test_what_was_added_stays_when_the_beginning_is_revised() -> None:
    assert added("how warm", "how warm", "now warm is it", "how warm is it", "how warm is it") == [
        "",
        " how warm",
        "",
        "",
        " is it",
    ]


def test_another_item_begins_anew() -> None:
    words = RevisedTranscript()
    assert [words.revised(item, "how warm") for item in ("a", "a", "b", "b")] == ["", " how warm", "", " how warm"]


@given(versions=st.lists(WORDS, min_size=1, max_size=6))
def test_words_are_only_added_and_never_more_than_two_versions_had(versions: list[str]) -> None:
    words = RevisedTranscript()
    said = list(accumulate(words.revised("a", version) for version in versions))
    longest = 0
    for before, after, text in zip(versions, versions[1:], said[1:], strict=False):
        longest = max(longest, min(len(before.split()), len(after.split())))
        assert len(text.split()) <= longest
    assert all(text.startswith(before) for before, text in pairwise(said))
