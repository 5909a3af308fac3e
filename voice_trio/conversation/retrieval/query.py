"""What is sent to a knowledge base for the words heard so far. Pure: words in, a query out, in the speaker's language.

1. During speech the last word goes, because it may be half of one: a piece of a transcript is a word or part of a word,
   and only a space before the next one, or punctuation, says that it is whole. Scripts without spaces lose nothing.
2. Hesitations ("um", "euh") go wherever they stand, openers ("okay so", "alors") at the start, repeated words once.
3. A follow-up, such as "and for layers?" or "et pour les pondeuses ?", says what changes and not what it is about:
   the content words of the question before are put in front.

Two queries with the same terms, in whatever order and form, ask the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from voice_trio.conversation.retrieval.stop_words import FILLERS
from voice_trio.conversation.retrieval.text import content_words, fold, query_terms

QUERY_CHARACTERS_MAX = 1_000
TOPIC_WORDS_MAX = 6
# A question with more content words than these stands on its own feet, whatever it begins with.
CONNECTED_WORDS_MAX = 3
ASKING_WORDS_MAX = 1
POINTING_WORDS_MAX = 1

_HESITATION_WORDS = "ah ahem ahm eh ehm er erm euh heu hm hmm hmmm huh mhm uh uhh uhm um umm"
_GREETINGS = "hola salut servus moin ciao thanks right also"
_POINTING = """
it its they them their that this those these one ones there same
il elle ils elles ca cela eux celui celle ceux celles lui leur
es sie ihnen das dies diese ello eso esa esos esas esto isso isto eles elas esso essa essi
dat dit ze hun
"""
_ASKING = """
why how when where which who much many long often
pourquoi comment quand combien quel quelle
warum wie wann wo wieviel porque como cuando donde cuanto cuanta
quando quanto onde perche dove quale waarom hoe wanneer waar
"""
_HESITATIONS = frozenset(_HESITATION_WORDS.split())
_OPENERS = frozenset((FILLERS + _GREETINGS).split())
_POINTERS = frozenset(_POINTING.split())
_QUESTIONS = frozenset(_ASKING.split())
_CONNECTIVES = (
    *("and", "but", "or", "what about", "how about", "what if", "same for"),  # English
    *("et", "mais", "ou", "et pour", "qu en est il"),  # French
    *("und", "aber", "oder", "was ist mit", "wie ist es mit"),  # German
    *("y", "pero", "o", "que tal"),  # Spanish
    *("e", "mas", "ou", "ma", "en", "maar", "of"),  # Portuguese, Italian, Dutch
)
_CJK_CONNECTIVES = ("那", "那么", "那麼", "还有", "還有", "じゃあ", "では", "それなら")
# What ends a word: a space, or any punctuation but a hyphen or an apostrophe, which stand inside words.
_WORD_IN_PROGRESS = re.compile(r"[^\s.,;:!?…¿¡()\"«»]+$")
_ENDS_WITHOUT_SPACES = re.compile("[\u3005-\u30ff\u3400-\u9fff\uff66-\uff9f\U00020000-\U0003ffff]$")
_PIECE = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What to send, and what tells whether another query asks the same; empty terms ask nothing."""

    text: str
    terms: frozenset[str]


def make_query(said: str, *, topic: str = "", whole: bool) -> SearchQuery:
    """The query for what has been `said`; `whole`: its last word is known to be complete.

    `topic` is what the question before was about, from `topic_of`.
    """
    words = _without_fillers((said if whole else without_unfinished_word(said))[-QUERY_CHARACTERS_MAX:])
    text = " ".join(words)
    if topic and is_follow_up(text):
        text = f"{topic} {text}"
    return SearchQuery(text, frozenset(query_terms(text)))


def without_unfinished_word(said: str) -> str:
    """`said` up to its last word that is known to be whole."""
    if _ENDS_WITHOUT_SPACES.search(said):
        return said
    return _WORD_IN_PROGRESS.sub("", said).rstrip()


def topic_of(query: str) -> str:
    """What a question was about: its last content words, for the follow-up that does not repeat them."""
    return " ".join(dict.fromkeys(content_words(query)[-TOPIC_WORDS_MAX:]))


def is_follow_up(text: str) -> bool:
    """Whether `text` needs the question before to be understood.

    It begins with a connective and has at most three content words, or one if it asks in full ("and when do layers");
    or it points ("how long does it take") with at most one; or it is a bare question word ("why?").
    """
    words = _folded_words(text)
    contents = len(content_words(text))
    asks = not _QUESTIONS.isdisjoint(words)
    if _begins_with_connective(" ".join(words)):
        return contents <= (ASKING_WORDS_MAX if asks else CONNECTED_WORDS_MAX)
    if not _POINTERS.isdisjoint(words):
        return contents <= POINTING_WORDS_MAX
    return contents == 0 and asks


def _begins_with_connective(folded: str) -> bool:
    return folded.startswith(_CJK_CONNECTIVES) or any(
        folded.startswith(connective + " ") for connective in _CONNECTIVES
    )


def _without_fillers(text: str) -> list[str]:
    kept: list[str] = []
    before = ""
    for word in _PIECE.findall(text):
        bare = " ".join(_folded_words(word))
        is_noise = bare in _HESITATIONS or (not kept and bare in _OPENERS)
        if not is_noise and (bare != before or not bare):
            kept.append(word)
            before = bare
    return kept


def _folded_words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", fold(text))
