"""The recognizer pool with real workers: words while the user speaks; what happens when a worker is busy or dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio

from voice_trio.embedded.speech.recognition.messages import encode
from voice_trio.embedded.speech.recognition.recognizer import open_recognizer
from voice_trio.embedded.speech.synthesis.espeak import SpeakingStyle
from voice_trio.embedded.speech.synthesis.voice import pcm_of
from voice_trio.errors import ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_trio.embedded.speech.recognition.model import ListeningModel
    from voice_trio.embedded.speech.recognition.recognizer import PooledRecognition, RecognizerPool

QUESTION = "what are the signs of coccidiosis"


@pytest.fixture
async def pool(listening_model: ListeningModel) -> AsyncIterator[RecognizerPool]:
    with trio.fail_after(20):
        async with open_recognizer(listening_model, size=2) as pool:
            yield pool


@pytest.fixture
def question() -> bytes:
    """Spoken anew for each test and each rerun: espeak-ng draws chance into its sounds, and some are heard badly."""
    return pcm_of(QUESTION, SpeakingStyle("en-us", 150))


def workers_of_this_process() -> set[int]:
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    )
    return {int(line.split()[0]) for line in listed.stdout.splitlines() if "recognition.worker" in line}


async def speak_to(recognition: PooledRecognition, pcm: bytes, chunk_bytes: int = 1920) -> list[str]:
    return [await recognition.feed(pcm[begin : begin + chunk_bytes]) for begin in range(0, len(pcm), chunk_bytes)]


async def test_words_come_while_the_user_speaks_and_the_whole_at_the_end(pool: RecognizerPool, question: bytes) -> None:
    async with pool.listen() as recognition:
        news = await speak_to(recognition, question)
        heard = await recognition.finish()
    first = next(index for index, words in enumerate(news) if words)
    assert (first + 1) * 0.04 <= 1.5
    assert "what are" in "".join(news)
    assert "coccidiosis" in heard.text
    assert heard.alternatives[0] == heard.text
    assert 2 <= len(set(heard.alternatives)) == len(heard.alternatives) <= 10


async def test_what_was_told_during_speech_only_grows_and_reads_as_text(pool: RecognizerPool, question: bytes) -> None:
    async with pool.listen() as recognition:
        news = [words for words in await speak_to(recognition, question, chunk_bytes=777) if words]
    assert len(news) >= 2
    assert not news[0].startswith(" ")
    assert all(words.startswith(" ") for words in news[1:])


async def test_one_worker_hears_one_question_after_another_alike(pool: RecognizerPool, question: bytes) -> None:
    texts = []
    for _ in range(3):
        async with pool.listen() as recognition:
            await recognition.feed(question)
            texts.append((await recognition.finish()).text)
    assert len(set(texts)) == 1


async def test_what_was_learnt_about_a_microphone_can_be_given_to_the_next_hearing(
    pool: RecognizerPool, question: bytes
) -> None:
    async with pool.listen() as recognition:
        await recognition.feed(question)
        first = await recognition.finish()
    async with pool.listen(first.microphone) as recognition:
        await recognition.feed(question)
        second = await recognition.finish()
    assert "coccidiosis" in second.text
    assert len(first.microphone.split(",")) == 13
    assert second.microphone != first.microphone


async def test_silence_holds_no_words(pool: RecognizerPool) -> None:
    async with pool.listen() as recognition:
        assert (await recognition.finish()).text == ""


async def test_a_third_speaker_is_refused_while_both_recognizers_are_busy(pool: RecognizerPool) -> None:
    async with pool.listen(), pool.listen():
        assert pool.listening == 2
        with pytest.raises(ModelUnavailable, match="all 2 recognizers"):
            async with pool.listen():
                pytest.fail("a third worker was lent")
    assert pool.listening == 0
    async with pool.listen():
        assert pool.listening == 1


async def test_a_cancelled_hearing_gives_its_worker_back_unharmed(pool: RecognizerPool, question: bytes) -> None:
    before = workers_of_this_process()
    with trio.move_on_after(0.05) as scope:
        async with pool.listen() as recognition:
            while True:
                await recognition.feed(question)
    assert scope.cancelled_caught
    assert pool.listening == 0
    assert workers_of_this_process() == before
    async with pool.listen() as a, pool.listen() as b:
        for recognition in (a, b):
            await recognition.feed(question)
            assert "coccidiosis" in (await recognition.finish()).text


async def test_ctrl_c_at_a_terminal_reaches_no_worker(pool: RecognizerPool) -> None:
    async with pool.listen():
        workers = workers_of_this_process()
    assert workers
    assert all(os.getsid(pid) == pid for pid in workers)


async def test_a_worker_that_is_killed_is_an_error_once_and_replaced(pool: RecognizerPool, question: bytes) -> None:
    async with pool.listen() as recognition:
        await recognition.feed(question[:9600])
        for pid in workers_of_this_process():
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(ModelUnavailable, match="died"):
            await speak_to(recognition, question)
    # On a busy machine a kill takes its time.
    while workers_of_this_process():  # noqa: ASYNC110  # processes send no event
        await trio.sleep(0.01)
    async with pool.listen() as recognition:
        await recognition.feed(question)
        assert "coccidiosis" in (await recognition.finish()).text


async def test_a_worker_that_hangs_does_not_hold_up_a_user_that_leaves(pool: RecognizerPool, question: bytes) -> None:
    for pid in workers_of_this_process():
        os.kill(pid, signal.SIGSTOP)
    started = trio.current_time()
    with trio.move_on_after(0.1):
        async with pool.listen() as recognition:
            await recognition.feed(question)
    assert trio.current_time() - started < 2
    assert len(workers_of_this_process()) == 1


async def test_no_worker_outlives_its_pool(listening_model: ListeningModel) -> None:
    with trio.fail_after(20):
        async with open_recognizer(listening_model, size=1) as pool, pool.listen():
            assert len(workers_of_this_process()) == 1
        assert workers_of_this_process() == set()


async def test_a_model_that_cannot_be_loaded_is_an_error_at_the_start(
    listening_model: ListeningModel, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = msgspec.structs.replace(listening_model, language_model="/nowhere")
    with trio.fail_after(20), pytest.raises(ModelUnavailable, match="died"):
        async with open_recognizer(broken, size=1):
            pytest.fail("a pool without a model was opened")
    assert "RuntimeError" in capfd.readouterr().err


def test_a_worker_ends_with_its_parent(listening_model: ListeningModel) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "voice_trio.embedded.speech.recognition.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as worker:
        assert worker.stdin is not None
        worker.stdin.write(encode(listening_model))
        worker.stdin.close()
        assert worker.wait(timeout=10) == 0


async def test_another_model_serves_the_next_utterance_and_ends_no_running_one_F50(
    pool: RecognizerPool, question: bytes
) -> None:
    before = workers_of_this_process()
    async with pool.listen() as recognition:
        await recognition.feed(question[: len(question) // 2])
        await pool.use(msgspec.structs.replace(pool.model))
        await recognition.feed(question[len(question) // 2 :])
        assert "coccidiosis" in (await recognition.finish()).text
    after = workers_of_this_process()
    assert len(after) == 2
    assert not before & after
    async with pool.listen() as recognition:
        await recognition.feed(question)
        assert "coccidiosis" in (await recognition.finish()).text


async def test_a_model_that_cannot_be_loaded_leaves_the_old_one_F50(pool: RecognizerPool, question: bytes) -> None:
    with pytest.raises(ModelUnavailable):
        await pool.use(msgspec.structs.replace(pool.model, dictionary="/nowhere"))
    assert len(workers_of_this_process()) == 2
    async with pool.listen() as recognition:
        await recognition.feed(question)
        assert "coccidiosis" in (await recognition.finish()).text
