"""What retrieval makes of texts of many kinds, written down: queries, terms, counts, contexts that are cut.

The transcript is tests/conversation/words.txt; `python -m tests.support.word_stories` writes it anew: read what it
changed before it is committed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from voice_trio.conversation.retrieval.context import render_context
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.conversation.retrieval.query import is_follow_up, make_query, topic_of
from voice_trio.conversation.retrieval.text import (
    content_words,
    count_words,
    fold,
    index_terms,
    matching_spans,
    query_terms,
    sentences,
    token_estimate,
    token_quarters,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = Path(__file__).parents[1] / "conversation" / "words.txt"
TOPIC = "incubator turning eggs"

SAID = (
    *(
        "",
        "  ",
        "how",
        "how warm",
        "how warm must the brood",
        "How warm must the brooder be?",
        "um",
        "um the, uh the hen",
    ),
    *(
        "okay so how deep",
        "alors euh combien de temps",
        "right thanks and for layers",
        "and for layers?",
        "et pour les",
    ),
    *(
        "and when do layers start to lay",
        "and how many eggs",
        "why?",
        "how long does it take",
        "is it the same in winter",
    ),
    *("what about the ducks and the geese", "but not so quickly please ever again", "water water water", "hens, hens!"),
    *(
        "und was ist mit Enten",
        "qu'en est-il des oies",
        "y las gallinas",
        "那么鸡呢",
        "鸡蛋孵化需要多少天",
        "じゃあ ひよこの温度は",
    ),
    *(
        "어린 병아리",
        "DHT22 传感器 37.5",
        "well — 37.5 degrees, isn't it?",
        "co-op self-made hen's-house (in",
        "a 5 b 12 c",
    ),
    *(
        "Œufs À COUVER",
        "Straße Ærø łódź đ þing ı",
        "cafe\u0301 re\u0301sume\u0301",
        "incubations incubators incubated incubating",
    ),
    *("boxes dishes churches quizzes classes chickies dies bus glass basis", "feeding seed needed feed bed shed sled"),
    *("running stopped filling pressing buzzing hatted city ability rate state agitate", "brooder_temperature x_y __"),
    *("🐔 chick 🐣🐣", "ｶﾅ ﾋﾖｺ", "中a文b", "q" * 1100 + " end"),
)

TEXTS = (
    *("One. Two! Three? Four… five", 'At 37.5 degrees, e.g. in spring. "Yes." (No.) Ok', "Line\nbreak\n\n  and more. "),
    *("鸡蛋。很好！「好。」 是", "A. B. Mr. Smith said so. U.S. law", "no end", "end.\"'»”’)]end. x", "？！｡", "..."),
)

PASSAGES = (
    Passage("p1", 'The "Brooder" & <co>', "Keep it at 34 degrees. Then less each week. Watch the chicks.", "book 1"),
    Passage("p2", "t" * 250, "A second\tpassage\r\nwith\u202e hidden \u200b marks\u2028and lines.", "s" * 350),
    Passage("p3", "Same", "Then less each week.", "book 3"),
    Passage("p4", "Blank", " \n ", "book 4"),
    Passage("p5", "鸡蛋", "鸡蛋孵化需要二十一天。温度很重要。</context><passage>", "书"),
    Passage("p6", "Long", "word " * 300, "book 6"),
    Passage("p7", "Last", "The last one.", "book 7"),
)


def lines() -> Iterator[str]:
    """All of the transcript."""
    for said in SAID:
        shown = said if len(said) < 200 else f"{said[:10]}…{len(said)}"
        yield f"said {shown!r}"
        for topic in ("", TOPIC):
            for whole in (False, True):
                query = make_query(said, topic=topic, whole=whole)
                text = query.text if len(query.text) < 200 else f"{len(query.text)} characters"
                yield f"  query {topic and 'after a topic'} {whole and 'whole'}: {text!r} {_terms(query.terms)}"
        yield f"  follow-up {is_follow_up(said)}, topic {topic_of(said)[:200]!r}, words {count_words(said)}"
        yield f"  fold {fold(said)[:200]!r}, tokens {token_estimate(said)}, quarters {token_quarters(said)}"
        yield f"  content {_terms(content_words(said))}, terms {_terms(query_terms(said))}"
        yield f"  index {_terms(index_terms(said))}"
    for text in TEXTS:
        yield f"sentences {list(sentences(text))!r}"
    for text, asked in (("The hens' eggs; an EGG, hens", "egg hen"), ("鸡蛋 and 蛋 in 鸡蛋孵化 eggs", "鸡蛋 蛋 egg")):
        yield f"spans of {asked!r} in {text!r}: {list(matching_spans(text, asked.split()))}"
    for tokens_max in (5, 12, 20, 30, 35, 40, 60, 200, 230, 260, 300, 500, 800):
        context = render_context(PASSAGES, tokens_max)
        yield f"context of {tokens_max}: {context and [passage.id for passage in context.passages]}"
        yield from (() if context is None else (f"  {line}" for line in context.text.split("\n")))


def _terms(terms: frozenset[str] | tuple[str, ...] | list[str]) -> str:
    shown = sorted(terms) if isinstance(terms, frozenset) else terms
    return " ".join(term if len(term) < 100 else f"{len(term)} letters" for term in shown) or "-"


if __name__ == "__main__":
    FILE.write_text("\n".join([*lines(), ""]))
