"""How words sound, in the ARPAbet of pocketsphinx: its dictionary, and espeak-ng's letter-to-sound for the rest."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from pocketsphinx import get_model_path

from voice_trio.embedded.speech.synthesis.espeak import load_espeak

if TYPE_CHECKING:
    from collections.abc import Iterable

AMERICAN, BRITISH = "en-us", "en"
"""Voices of espeak-ng; it calls British English plainly `en`."""

_ARPABET: Final = {
    "b": "B", "d": "D", "f": "F", "h": "HH", "k": "K", "l": "L", "m": "M", "n": "N", "p": "P", "s": "S", "t": "T",
    "v": "V", "w": "W", "z": "Z", "ɡ": "G", "ŋ": "NG", "ɹ": "R", "r": "R", "θ": "TH", "ð": "DH", "ʃ": "SH", "ʒ": "ZH",
    "j": "Y",
    "tʃ": "CH", "dʒ": "JH", "x": "K", "ɾ": "T", "ʔ": "T", "n̩": "AH N", "l̩": "AH L", "əl": "AH L",
    "æ": "AE", "a": "AE", "ɑː": "AA", "ɑ": "AA", "ɒ": "AA", "ɔ": "AO", "ɔː": "AO", "o": "OW", "oː": "OW",
    "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ɚ": "ER", "ɜː": "ER", "ɜ": "ER", "ɛ": "EH", "e": "EH",
    "ɪ": "IH", "ᵻ": "IH", "i": "IY", "iː": "IY", "ʊ": "UH", "u": "UW", "uː": "UW",
    "eɪ": "EY", "aɪ": "AY", "aʊ": "AW", "ɔɪ": "OY", "oʊ": "OW", "əʊ": "OW",
    "iə": "IY AH", "eə": "EH R", "ʊə": "UH R", "aɪə": "AY AH", "aɪɚ": "AY ER", "aʊə": "AW AH",
    "ɑːɹ": "AA R", "ɔːɹ": "AO R", "ɛɹ": "EH R", "ɪɹ": "IH R", "ʊɹ": "UH R",
}  # fmt: skip
_IPA: Final = re.compile("|".join(sorted(_ARPABET, key=len, reverse=True)))


@cache
def bundled_pronunciations() -> dict[str, tuple[str, ...]]:
    """The dictionary that comes with pocketsphinx: each word's pronunciations in ARPAbet, the usual one first."""
    found: dict[str, list[str]] = {}
    with open(get_model_path("en-us/cmudict-en-us.dict"), encoding="utf-8") as lines:
        for line in lines:
            word, _, phones = line.strip().partition(" ")
            found.setdefault(word.partition("(")[0], []).append(phones)
    return {word: tuple(phones) for word, phones in found.items()}


def pronounce(words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Each word's pronunciations: the dictionary's, and espeak-ng's British one, which British questions need.

    A word that the dictionary lacks gets both of espeak-ng's. A word that neither can say is left out.
    """
    bundled = bundled_pronunciations()
    words = list(words)
    # One voice after the other: a change of voice costs more than a word.
    lettered = {voice: {word: by_letters(word, voice) for word in words} for voice in (AMERICAN, BRITISH)}
    said = {word: (*bundled.get(word, (lettered[AMERICAN][word],)), lettered[BRITISH][word]) for word in words}
    different = {word: tuple(phones for phones in dict.fromkeys(all_said) if phones) for word, all_said in said.items()}
    return {word: phones for word, phones in different.items() if phones}


def dictionary_text(pronunciations: dict[str, tuple[str, ...]]) -> str:
    """`pronunciations` as the dictionary file of a decoder."""
    return "".join(
        f"{word}{f'({index})' if index > 1 else ''} {phones}\n"
        for word, all_phones in sorted(pronunciations.items())
        for index, phones in enumerate(all_phones, 1)
    )


def by_letters(word: str, voice: str = AMERICAN) -> str:
    """`word` in ARPAbet as espeak-ng reads it, `coccidiosis` as `K AA K S IH D IY OW S IH S`; empty if it cannot."""
    ipa = re.sub("[ˈˌ_ ]", "", load_espeak().phonemes(word, voice))
    return " ".join(_ARPABET[symbol] for symbol in _IPA.findall(ipa))


def inflections_of(words: Iterable[str]) -> set[str]:
    """Forms of `words` that the dictionary knows: documents write `hatches` where people ask for `hatching`."""
    bundled = bundled_pronunciations()
    return {form for word in words if len(word) > 3 for form in _forms(word) if form in bundled}


def _forms(word: str) -> set[str]:
    stems = {word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ed"), word.removesuffix("ing")}
    stems |= {stem + "e" for stem in stems} | {
        stem[:-1] for stem in stems if stem.endswith("e") or stem[-1:] == stem[-2:-1]
    }
    stems |= {stem[:-1] + "i" for stem in stems if stem.endswith("y")} | {
        stem[:-1] + "y" for stem in stems if stem.endswith("i")
    }
    forms = {stem + ending for stem in stems if len(stem) > 2 for ending in ("", "s", "es", "ed", "ing")}
    return forms - {word}
