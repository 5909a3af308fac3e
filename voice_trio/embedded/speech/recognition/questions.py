"""How people ask: frames of questions, and the topics of a set of documents that fit into them. Pure.

Frames and topics together are what the language model expects to hear: documents state, people ask.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from voice_trio.embedded.speech.recognition.wording import NUMBER_WORDS, STOP_WORDS, spoken_sentences, spoken_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

QUESTION_FRAMES: Final = tuple(
    line.strip()
    for line in """
    what is {}
    what are {}
    what is a {}
    what is the {}
    what is the best {}
    what is the best {} for {}
    what is the right {} for {}
    what is the {} of {}
    what is the {} for {}
    what is the {} in {}
    what {} should i use
    what {} should i use for {}
    what {} do {} need
    what {} should a {} have
    what {} should the {} be
    what {} is best for {}
    what {} is too {} for {}
    what causes {}
    what causes {} in {}
    what helps against {}
    what can i do about {}
    what can i do against {}
    what should i do if {} are {}
    what should i do when a {} is {}
    what should i do with {}
    what should i feed {}
    what should i give {}
    what do {} eat
    what do i do about {}
    what does {} look like
    what does {} mean
    what happens if {} get {}
    what happens when the {} is too {}
    what kind of {} do {} need
    what are the signs of {}
    what are the signs of {} in {}
    what are the symptoms of {}
    how do i {}
    how do i {} a {}
    how do i {} the {}
    how do i {} my {}
    how do i treat {}
    how do i prevent {}
    how do i prevent {} in {}
    how do i clean the {}
    how do i keep {} {}
    how do i keep the {} {}
    how do i get rid of {}
    how do i know if {} are {}
    how do i know that a {} is {}
    how do i tell if a {} is {}
    how can i {} {}
    how can i tell whether {} are {}
    how should i {} {}
    how should {} be stored
    how is {} spread
    how is a {} {}
    how does {} spread
    how much {} do {} need
    how much {} does a {} need
    how much {} does a {} eat each day
    how much {} should i give {}
    how much {} should there be in the {}
    how much {} per {}
    how many {} do i need
    how many {} do i need for {}
    how many {} can i keep per square metre
    how many {} does a {} lay
    how many {} per {}
    how many days does {} take
    how many hours of {} do {} need
    how often should i {} the {}
    how often should {} be {}
    how often do {} need {}
    how long does {} take
    how long do {} live
    how long should {} be {}
    how long can i keep {}
    how long can {} be stored
    how warm should the {} be
    how hot should the {} be
    how cold can {} get
    how deep should the {} be
    how high should the {} be
    how big should a {} be
    how wide should the {} be
    how old should {} be
    how heavy is a {}
    how fast do {} grow
    how bright should the {} be
    how dangerous is {}
    when should i {}
    when should i {} the {}
    when should {} be {}
    when do {} start {}
    when do {} stop {}
    when can {} go outside
    when is the best time to {} {}
    at what age do {} {}
    at what age should {} be {}
    at what temperature should {} be {}
    where should i put the {}
    where do {} {}
    which {} is best for {}
    which {} do {} need
    which {} are {}
    why do {} {}
    why do my {} {}
    why are my {} {}
    why is {} important
    why is the {} {}
    can i {} {}
    can i use {} for {}
    can i give {} to {}
    can {} be {}
    can {} live with {}
    can {} eat {}
    do {} need {}
    do i need a {} for {}
    does {} affect {}
    is {} dangerous
    is {} dangerous for {}
    is it safe to {} {}
    is there a vaccine against {}
    are {} good for {}
    should i {} {}
    tell me about {}
    tell me about {} for {}
    please explain {}
    i have a question about {}
    my {} are {} what should i do
    and for {}
    and what about {}
    """.strip().splitlines()
)
_FILLINGS_A_FRAME: Final = 40


def topics_of(documents: Iterable[str]) -> Counter[str]:
    """The words and pairs of words that the documents are about, with how often they say them."""
    topics: Counter[str] = Counter()
    for text in documents:
        for words in spoken_sentences(text):
            topics.update(word for word in words if _is_topic(word))
            pairs = (f"{a} {b}" for a, b in pairwise(words) if _is_topic(a) and _is_topic(b))
            topics.update(pairs)
    return Counter({topic: count for topic, count in topics.items() if count > 1})


def ask_about(topics: Counter[str], frames: Sequence[str] = QUESTION_FRAMES) -> list[list[str]]:
    """Questions as spoken words: every frame filled with many topics, the frequent ones more often; always the same."""
    if not topics:
        return [spoken_words(frame) for frame in frames]
    chance = random.Random(1)  # questions for a language model: no secret hangs on them
    names, weights = list(topics), [count**0.5 for count in topics.values()]
    slots = sum(frame.count("{}") for frame in frames)
    fillings = iter(chance.choices(names, weights, k=slots * _FILLINGS_A_FRAME))
    return [
        spoken_words(re.sub("{}", lambda _: next(fillings), frame))
        for frame in frames
        for _ in range(_FILLINGS_A_FRAME)
    ]


def _is_topic(word: str) -> bool:
    return len(word) > 2 and word not in STOP_WORDS and word not in NUMBER_WORDS
