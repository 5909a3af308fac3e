"""The demo's signing secret, kept beside its data: pages that are open over a restart stay signed in."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SECRET_BYTES = 32
_LENGTH = 2 * SECRET_BYTES  # in hexadecimal


def kept_secret(path: Path) -> str:
    """The secret in the file at `path`, which is made if missing; only its owner may read it.

    A file that others may read, or that holds something else, gets a new secret. Where it cannot be written, the secret
    is of this run only, and a line on stderr says so.
    """
    try:
        return _read(path) or _make(path)
    except OSError as error:
        sys.stderr.write(f"{path}: {error.strerror}; open pages are signed out when the demo ends.\n")
        return secrets.token_hex(SECRET_BYTES)


def _read(path: Path) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:  # missing, a symbolic link, or the file of another user
        return None
    with open(descriptor, encoding="ascii", errors="replace") as file:
        status = os.fstat(descriptor)
        text = file.read(_LENGTH + 1).strip()
    is_private = status.st_uid == os.getuid() and not status.st_mode & 0o077
    return text if is_private and len(text) == _LENGTH and text.isalnum() else None


def _make(path: Path) -> str:
    """Write a new secret in one step, so that a demo that starts at the same time reads a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(secret := secrets.token_hex(SECRET_BYTES))
        os.replace(draft, path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
    return secret
