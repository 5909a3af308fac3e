"""`openai` for Python, its blocking client: a backend buys a client secret, and its page asks one question with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openai import OpenAI

from tests.sdk.clients.listener import Listener, read_job

if TYPE_CHECKING:
    from openai.resources.realtime.realtime import RealtimeConnection


def buy(job: dict[str, Any]) -> Any:
    with OpenAI(api_key=job["token"], base_url=job["base_url"]) as backend:
        return backend.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60},
            session={"type": "realtime", "output_modalities": ["text"]},
        )


def ask(connection: RealtimeConnection, heard: Listener) -> None:
    for event in connection:
        heard.note(event.to_dict(mode="json"))
        if event.type == "session.created":
            content: Any = [{"type": "input_text", "text": "How warm must the brooder be?"}]
            connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
            connection.response.create()
        if event.type == "response.done":
            return


def main() -> None:
    job, heard = read_job(), Listener()
    secret = buy(job)
    with (
        OpenAI(api_key=secret.value, base_url=job["base_url"]) as client,
        client.realtime.connect(model=job["model"]) as connection,
    ):
        ask(connection, heard)
    heard.report(secret=secret.to_dict(mode="json"))


main()
