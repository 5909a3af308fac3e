"""`openai` for Python as Azure's customers use it: the older path, a deployment and an `api-key`; then the new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openai import AzureOpenAI, OpenAI

from tests.sdk.clients.listener import Listener, read_job

if TYPE_CHECKING:
    from openai.resources.realtime.realtime import RealtimeConnection


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
    job, older, newer = read_job(), Listener(), Listener()
    place = job["base_url"].removesuffix("/v1")
    with (
        AzureOpenAI(api_key=job["token"], azure_endpoint=place, api_version="2025-04-01-preview") as client,
        client.realtime.connect(model=job["model"]) as connection,
    ):
        ask(connection, older)
    with (
        OpenAI(api_key=job["token"], base_url=f"{place}/openai/v1") as usual,
        usual.realtime.connect(model=job["model"]) as connection,
    ):
        ask(connection, newer)
    older.report(newer=newer.events)


main()
