"""Which language a text is in, well enough to choose a voice: by script, then by the commonest little words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Final

_BY_SCRIPT: Final = {
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CJK": "zh",
    "CYRILLIC": "ru",
    "GREEK": "el",
    "ARABIC": "ar",
    "HEBREW": "he",
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "TAMIL": "ta",
}
"""First word of a character's Unicode name, in order of preference: Japanese text holds CJK characters too."""

_LITTLE_WORDS: Final = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the and is are of to in it you that for with this be on not at by from have what how do i we they can",
        "fr": "le la les des est et une un du dans que qui pour pas sur avec vous nous je il elle au aux ce sont être",
        "de": "der die das und ist ein eine nicht zu mit den dem auf für von sie wir ich sich auch es im wie sind bei",
        "es": "el la los las de que y en un una es por con para no se del al lo como más su son está hay qué usted",
        "nl": "de het een en van is dat niet te met zijn voor op aan er maar om ook bij wat hoe wij je deze worden",
        "pt": "o a os as de que e em um uma é por com para não se do da no na mais como são está você ao dos das",
        "it": "il lo la gli le di che e un una è per con non si del della nel sono come più al dei da questo anche",
        "pl": "i w na nie się z do jest to że jak co dla od po są ale przez tak czy",
        "sv": "och det att i en är som på av för med den inte till ett har de vi kan hur",
        "tr": "ve bir bu da de için ile ne çok daha olarak var gibi değil mi",
    }.items()
}


def guess_language(text: str) -> str:
    """A two-letter language code; `en` where nothing speaks for another language, as with numbers or a single name."""
    scripts = Counter(unicodedata.name(character, "").split(" ")[0].split("-")[0] for character in text)
    for script, language in _BY_SCRIPT.items():
        # A foreign name in a Latin sentence does not change its language, but CJK says much with few characters.
        if 4 * scripts[script] > scripts["LATIN"]:
            return language
    words = re.findall(r"[^\W\d_]+", text.lower())
    scores = {language: sum(word in little for word in words) for language, little in _LITTLE_WORDS.items()}
    best = max(scores, key=lambda language: (scores[language], language == "en"))
    return best if scores[best] else "en"
