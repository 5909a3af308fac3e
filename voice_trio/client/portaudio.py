"""The machine's sound card through PortAudio; the only file that imports the `sounddevice` library.

On macOS and Windows the library's wheels contain PortAudio. On Linux the system provides it (Debian: libportaudio2).
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from voice_trio.client.sound_card import BLOCK_MS, Device, SoundCardUnavailable
from voice_trio.client.sounds import RATE
from voice_trio.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BYTES_PER_FRAME = 2
_STREAM = {"samplerate": RATE, "channels": 1, "dtype": "int16", "blocksize": RATE * BLOCK_MS // 1000, "latency": "low"}


def _sounddevice() -> Any:
    """The library. Raises `ConfigurationError` or `SoundCardUnavailable`; the message says what to install."""
    try:
        import sounddevice
    except ImportError as error:
        raise ConfigurationError("microphone and loudspeaker need an extra: pip install 'voice-trio[talk]'") from error
    except OSError as error:
        hint = "Debian and Ubuntu: apt install libportaudio2; Fedora: dnf install portaudio"
        raise SoundCardUnavailable(f"PortAudio is not on this machine ({hint})") from error
    return sounddevice


def devices() -> list[Device]:
    """List the sound devices of this machine. Raises what `PortAudioCard.open` raises."""
    library = _sounddevice()
    default_input, default_output = library.default.device
    return [
        Device(
            number,
            str(each["name"]),
            int(each["max_input_channels"]),
            int(each["max_output_channels"]),
            is_default_input=number == default_input,
            is_default_output=number == default_output,
        )
        for number, each in enumerate(library.query_devices())
    ]


class PortAudioCard:
    """The machine's sound card, through PortAudio. Needs the extra `talk`: `pip install 'voice-trio[talk]'`.

    `microphone` and `loudspeaker` are a device's number or part of its name; `None` is the system's default.
    """

    def __init__(self, microphone: str | None = None, loudspeaker: str | None = None) -> None:
        self._microphone = _number_or_name(microphone)
        self._loudspeaker = _number_or_name(loudspeaker)

    def check(self, *, microphone: bool) -> None:
        """Check that the devices exist and support 24 kHz mono, without opening them. Raises what `open` raises.

        Call it before `connect_voice`: a session that fails for lack of a microphone counts towards the user's limit.
        """
        library = _sounddevice()
        _check(library, self._loudspeaker, "output", "loudspeaker")
        if microphone:
            _check(library, self._microphone, "input", "microphone")

    @contextmanager
    def open(
        self,
        hear: Callable[[bytes], None] | None,
        play: Callable[[int, float], bytes],
        lost: Callable[[str], None],
    ) -> Iterator[None]:
        """Open the devices; see `SoundCard.open` for the arguments. Raises `SoundCardUnavailable`.

        Raises `voice_trio.errors.ConfigurationError` if the extra `talk` is not installed.
        """
        library = _sounddevice()
        is_closing = False

        def finished(what: str) -> None:
            if not is_closing:
                lost(f"the {what} was disconnected")

        def capture(data: Any, frames: int, when: Any, status: Any) -> None:
            if hear is not None:
                hear(bytes(data))

        def fill(data: Any, frames: int, when: Any, status: Any) -> None:
            data[:] = play(frames * BYTES_PER_FRAME, _delay(when, loudspeaker.latency))

        with ExitStack() as streams:
            _check(library, self._loudspeaker, "output", "loudspeaker")
            loudspeaker = library.RawOutputStream(
                device=self._loudspeaker, callback=fill, finished_callback=lambda: finished("loudspeaker"), **_STREAM
            )
            streams.callback(loudspeaker.close)
            if hear is not None:
                _check(library, self._microphone, "input", "microphone")
                microphone = library.RawInputStream(
                    device=self._microphone,
                    callback=capture,
                    finished_callback=lambda: finished("microphone"),
                    **_STREAM,
                )
                streams.callback(microphone.close)
                _start(library, microphone, "microphone")
            _start(library, loudspeaker, "loudspeaker")
            try:
                yield
            finally:
                is_closing = True


def _check(library: Any, device: int | str | None, kind: str, what: str) -> None:
    try:
        library.query_devices(device, kind)
    except (ValueError, library.PortAudioError) as error:
        missing = f"no {what} found" if device is None else f"no {what} is called {device!r}"
        raise SoundCardUnavailable(f"{missing}; --list-devices shows the devices") from error
    check = library.check_input_settings if kind == "input" else library.check_output_settings
    try:
        check(device=device, samplerate=RATE, channels=1, dtype="int16")
    except (ValueError, library.PortAudioError) as error:
        raise SoundCardUnavailable(f"the {what} does not support 24 kHz mono: {error}") from error


def _start(library: Any, stream: Any, what: str) -> None:
    try:
        stream.start()
    except library.PortAudioError as error:
        raise SoundCardUnavailable(f"the {what} could not be started: {error}") from error


def _delay(when: Any, latency: float) -> float:
    """Seconds until the first sample of a block is heard; the stream's latency if the driver gives no time."""
    delay = float(when.outputBufferDacTime - when.currentTime)
    return delay if 0.0 < delay < 5.0 else float(latency)


def _number_or_name(device: str | None) -> int | str | None:
    return int(device) if device is not None and device.isdecimal() else device
