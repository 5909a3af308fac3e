"""The code of docs/reference/webhook.md accepts what the gateway signs, and nothing else (F57)."""

from __future__ import annotations

import re
import time
from typing import Any

from pydantic import SecretStr

from tests.support.reference_pages import FOLDER
from voice_trio.observability.webhook import signature

(EXAMPLE,) = re.findall(r"```python\n(.*?)```", (FOLDER / "webhook.md").read_text("utf-8"), re.DOTALL)


def test_the_example_verifies_a_delivery_F57() -> None:
    names: dict[str, Any] = {}
    exec(EXAMPLE, names)
    is_genuine, now = names["is_genuine"], int(time.time())
    signed = signature(SecretStr("secret"), b"{}", now)
    assert is_genuine(signed, b"{}", "secret")
    assert not is_genuine(signed, b"{} ", "secret")
    assert not is_genuine(signed, b"{}", "another")
    assert not is_genuine(signature(SecretStr("secret"), b"{}", now - 600), b"{}", "secret")
