"""OpenAI's own protocol, as the gateway speaks it to clients: what they asked for passes, nothing of ours does.

wishes     which parts of its session a client may set, and what is made of them upstream
requests   its frames, checked and cut to what may pass
answers    the model's frames with our traces taken out, and our own words in OpenAI's shapes
"""

from __future__ import annotations

from voice_trio.dialects.drop_in.answers import Disguise
from voice_trio.dialects.drop_in.requests import DropInFrame, Reader, SessionAsked, SoundGiven
from voice_trio.dialects.drop_in.wishes import ALL_WISHES, SAFE_WISHES, Wishes

__all__ = ["ALL_WISHES", "SAFE_WISHES", "Disguise", "DropInFrame", "Reader", "SessionAsked", "SoundGiven", "Wishes"]
