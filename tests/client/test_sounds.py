"""Sound files become what the protocol wants, or a sentence that says why not."""

from __future__ import annotations

import builtins
import wave
from typing import TYPE_CHECKING, Any

import pytest

from voice_trio.client.sounds import BYTES_PER_MS, SoundUnreadable, end_of_sound_ms, read_sound, write_wav
from voice_trio.errors import ConfigurationError
from voice_trio.testing.sounds import loudness, tone_pcm

if TYPE_CHECKING:
    from pathlib import Path


def test_our_own_wav_comes_back_as_it_was(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone_pcm(0, 500))
    read = read_sound(tmp_path / "a.wav")
    assert len(read) == 500 * BYTES_PER_MS
    assert loudness(read) == pytest.approx(loudness(tone_pcm(0, 500)), rel=0.01)


@pytest.mark.parametrize(("suffix", "rate", "channels"), [("wav", 8000, 2), ("flac", 44100, 1), ("ogg", 48000, 2)])
def test_other_formats_and_rates_are_converted(tmp_path: Path, suffix: str, rate: int, channels: int) -> None:
    numpy = pytest.importorskip("numpy")
    soundfile = pytest.importorskip("soundfile")
    times = numpy.arange(rate) / rate
    tone = 0.3 * numpy.sin(2 * numpy.pi * 250 * times)
    soundfile.write(tmp_path / f"a.{suffix}", numpy.stack([tone] * channels, axis=1), rate)
    pcm = read_sound(tmp_path / f"a.{suffix}")
    assert len(pcm) / BYTES_PER_MS == pytest.approx(1000, abs=5)
    assert loudness(pcm) == pytest.approx(0.3 * 32767 / 2**0.5, rel=0.05)


def test_a_file_without_sound_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"not a sound")
    with pytest.raises(SoundUnreadable, match=r"a\.wav"):
        read_sound(tmp_path / "a.wav")


def test_the_end_of_the_sound_is_where_the_last_loud_sample_is() -> None:
    assert end_of_sound_ms(tone_pcm(0, 400) + bytes(600 * BYTES_PER_MS)) == pytest.approx(400, abs=2)
    assert end_of_sound_ms(bytes(4800)) == end_of_sound_ms(b"") == 0


class TestWithoutTheExtra:
    @pytest.fixture(autouse=True)
    def _no_soundfile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = builtins.__import__

        def import_less(name: str, *args: Any, **kwargs: Any) -> Any:
            if name in ("numpy", "soundfile", "soxr"):
                raise ImportError(name)
            return whole(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", import_less)

    def test_a_plain_wav_is_still_read(self, tmp_path: Path) -> None:
        write_wav(tmp_path / "a.wav", tone_pcm(0, 100))
        assert read_sound(tmp_path / "a.wav") == tone_pcm(0, 100)

    def test_another_rate_names_the_extra(self, tmp_path: Path) -> None:
        with wave.open(str(tmp_path / "a.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(bytes(320))
        with pytest.raises(ConfigurationError, match=r"voice-trio\[sound\]"):
            read_sound(tmp_path / "a.wav")

    def test_nonsense_is_unreadable(self, tmp_path: Path) -> None:
        (tmp_path / "a.wav").write_bytes(b"")
        with pytest.raises(SoundUnreadable):
            read_sound(tmp_path / "a.wav")
