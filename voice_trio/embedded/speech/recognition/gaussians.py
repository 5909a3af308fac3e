"""The files of pocketsphinx's acoustic model: its Gaussians, and what each counts for each state."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from pocketsphinx import get_model_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

STREAMS, GAUSSIANS, DIMENSIONS = 3, 128, 13
_WEIGHT_LOG: Final = 1024 * math.log(1.0001)
"""A mixture weight is stored in a byte: the negative logarithm to pocketsphinx's base, without its last ten bits."""
_CHECKSUM_BYTES: Final = 4
_VARIANCE_MIN: Final = 1e-4
"""pocketsphinx's own floor (`varfloor`)."""


class StockGaussians:
    """What the bundled model's files say: codebooks of 3 streams of 128 Gaussians of 13 dimensions, one a phone."""

    def __init__(self) -> None:
        directory = Path(get_model_path("en-us/en-us"))
        self.means_file = (directory / "means").read_bytes()
        self.means = _gaussians(self.means_file)
        self.precisions = 1 / np.maximum(_gaussians((directory / "variances").read_bytes()), _VARIANCE_MIN)
        self.log_norms = 0.5 * np.log(self.precisions).sum(-1)
        mdef = (directory / "mdef").read_bytes()
        names = mdef[mdef.index(b"+NSN+\0") :].split(b"\0")
        self.phones = {name.decode(): index for index, name in enumerate(names[: len(self.means)])}
        self.log_weights = _mixture_weights((directory / "sendump").read_bytes())

    def means_file_with(self, means: Floats) -> bytes:
        """A file like the model's own, with other means; without the checksum, which is then not looked at."""
        header = self.means_file[: len(self.means_file) - _CHECKSUM_BYTES - means.nbytes]
        return header.replace(b"chksum0 yes\n", b"") + means.astype(np.float32).tobytes()

    def shares(self, phone: int, senone: int, frames: Floats) -> Floats:
        """How much each Gaussian of a state takes of each frame: (streams, frames, Gaussians), 1 a stream in all.

        `frames` is (streams, frames, dimensions).
        """
        precisions, means = self.precisions[phone], self.means[phone]
        # The square of a difference, taken apart so that it becomes two products of matrices: five times faster.
        distances = frames**2 @ precisions.transpose(0, 2, 1) - 2 * frames @ (means * precisions).transpose(0, 2, 1)
        distances += (means**2 * precisions).sum(-1)[:, None, :]
        logs = self.log_norms[phone][:, None, :] - 0.5 * distances
        logs -= self.log_weights[:, None, :, senone] * np.float32(_WEIGHT_LOG)
        shares = np.exp(logs - logs.max(-1, keepdims=True))
        result: Floats = shares / shares.sum(-1, keepdims=True)
        return result


def _gaussians(file: bytes) -> Floats:
    body = file[file.index(b"endhdr\n") + 7 + 4 :]
    counts = np.frombuffer(body, np.int32, 3)
    skip = 4 * (3 + counts[1] + 1)
    floats = np.frombuffer(body[skip:], np.float32, counts[0] * STREAMS * GAUSSIANS * DIMENSIONS)
    return floats.reshape(counts[0], STREAMS, GAUSSIANS, DIMENSIONS)


def _mixture_weights(file: bytes) -> NDArray[np.uint8]:
    at = 0
    while length := int.from_bytes(file[at : at + 4], "little"):  # strings of a header, ended by an empty one
        at += 4 + length
    senones = int.from_bytes(file[at + 8 : at + 12], "little")
    weights = np.frombuffer(file, np.uint8, STREAMS * GAUSSIANS * senones, at + 12)
    return weights.reshape(STREAMS, GAUSSIANS, senones)
