"""Ask a gateway one typed question; print the documents it found and the answer.

Start a gateway in another terminal with `scripts/run`. It prints an address that ends with `#token=…`. Then run

    VOICE_TOKEN=… python examples/ask_a_question.py "How warm must the brooder be in the first week?"

`--url` names another gateway. Exit code 1 means that the question was not answered.
"""

from __future__ import annotations

import argparse
import os
import sys

import trio

from voice_trio.client import VoiceConnection, VoiceRefused, VoiceUnreachable, connect_voice

ANSWER_SECONDS_MAX = 30.0


async def ask(voice: VoiceConnection, question: str) -> str:
    """Return the status of the response: `completed`, `failed`, …; empty if the connection ended first."""
    await voice.send_text(question)
    async for event in voice:
        match event["type"]:
            case "context.injected":
                for passage in event["passages"]:
                    print("document:", passage["title"])
            case "response.audio_transcript.done":
                print("answer:", event["transcript"])
            case "error":
                print("error:", event["error"]["message"], file=sys.stderr)
            case "response.done":
                return str(event["status"])
    print("closed:", voice.closed, file=sys.stderr)
    return ""


async def main(url: str, token: str | None, question: str) -> int:
    try:
        with trio.fail_after(ANSWER_SECONDS_MAX):
            async with connect_voice(url, token) as voice:
                status = await ask(voice, question)
                await voice.end()  # otherwise the gateway keeps the session for an hour, to be resumed
    except VoiceRefused as refusal:
        sys.exit(f"refused ({refusal.code}): {refusal}")
    except VoiceUnreachable as error:
        sys.exit(f"cannot reach {url}: {error}")
    except trio.TooSlowError:
        sys.exit(f"no answer within {ANSWER_SECONDS_MAX:g} s")
    return 0 if status == "completed" else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Ask a gateway one question.")
    parser.add_argument("question")
    parser.add_argument("--url", default=os.environ.get("VOICE_URL", "ws://127.0.0.1:8000/v1/ws/voice"))
    parser.add_argument("--token", default=os.environ.get("VOICE_TOKEN"), help="also read from VOICE_TOKEN")
    given = parser.parse_args()
    sys.exit(trio.run(main, given.url, given.token, given.question))
