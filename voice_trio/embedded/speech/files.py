"""Where built models are kept: one directory each, named after all that went into it."""

from __future__ import annotations

import hashlib
import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import platformdirs

if TYPE_CHECKING:
    from collections.abc import Mapping


def default_cache_dir() -> Path:
    """Where models are kept between starts, if nobody names another place."""
    return Path(platformdirs.user_cache_dir("voice-trio")) / "speech"


def cache_key(*matters: Any) -> str:
    """A name for what is built from `matters` with the installed pocketsphinx and espeak-ng."""
    encoded = msgspec.json.encode([*(_version(package) for package in ("pocketsphinx", "espeakng-loader")), *matters])
    return hashlib.sha256(encoded).hexdigest()[:20]


def keep_directory(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write a directory at once: another process sees all of it or nothing, and the first of two builders wins."""
    draft = directory.with_name(f"{directory.name}.{os.getpid()}")
    draft.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (draft / name).write_bytes(content)
    try:
        draft.rename(directory)
    except OSError:
        shutil.rmtree(draft)
        if not directory.is_dir():  # nobody else was first: the disk is at fault
            raise


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # the system's espeak-ng serves as well
        return ""
