"""Headers as the value of a variable: a JSON object, read as a secret."""

from __future__ import annotations

import json
import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110 §5.6.2
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_OF_THE_HANDSHAKE = re.compile(
    r"host|upgrade|connection|content-length|transfer-encoding|sec-websocket-.*", re.IGNORECASE
)


def _check_headers(given: SecretStr) -> SecretStr:
    headers_of(given)
    return given


def headers_of(given: SecretStr | None) -> dict[str, str]:
    """The headers of a JSON object; raises `ValueError`, whose message does not quote it."""
    if given is None:
        return {}
    wanted = 'must be a JSON object of header names and texts, for example {"x-team": "voice"}'
    try:
        headers = json.loads(given.get_secret_value())
    except ValueError:
        raise ValueError(wanted) from None
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise ValueError(wanted)
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"{wanted}; a name or a value cannot be sent in a header")
        if _OF_THE_HANDSHAKE.fullmatch(name):
            raise ValueError(f"must not set {name}: the handshake does")
    return headers


SecretHeaders = Annotated[SecretStr, AfterValidator(_check_headers)]
