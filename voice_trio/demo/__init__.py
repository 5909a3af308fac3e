"""The demo's documents: a handbook on keeping poultry, written for this project, as Markdown files.

It is example knowledge for first questions: general information, not veterinary advice. It imports nothing of the
package.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def handbook_folder() -> Path:
    """The folder that holds the handbook's chapters, one Markdown file each, named in reading order.

    A plain path, because installers unpack wheels into folders; running from inside a zip archive is not supported.
    """
    return Path(str(files(__package__))) / "knowledge"
