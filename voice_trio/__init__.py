"""A realtime voice gateway: browsers talk to an assistant that searches your documents before it answers."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("voice-trio")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
