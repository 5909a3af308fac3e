"""`openai` for Python, refused, and at the end of the session's time: the errors that an application sees."""

from __future__ import annotations

from typing import Any

import openai
from openai import OpenAI
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.sdk.clients.listener import Listener, read_job


def refused(client: OpenAI, **query: Any) -> dict[str, Any]:
    """How a connection is refused."""
    try:
        with client.realtime.connect(model="gpt-realtime-2.1", extra_query=query):
            return {}
    except InvalidStatus as error:
        response = error.response
        return {"status": response.status_code, "body": (response.body or b"").decode()}


def unsold(client: OpenAI) -> dict[str, Any]:
    """How a client secret is refused."""
    try:
        client.realtime.client_secrets.create()
    except openai.APIStatusError as error:
        return {"class": type(error).__name__, "status": error.status_code, "code": error.code}
    return {}


def outlive(client: OpenAI, heard: Listener) -> dict[str, Any]:
    """The end of a session at its deadline."""
    with client.realtime.connect(model="gpt-realtime-2.1") as connection:
        try:
            while True:
                heard.note(connection.recv().to_dict(mode="json"))
        except ConnectionClosed as closed:
            return {"code": closed.rcvd.code if closed.rcvd else None}


def main() -> None:
    job, heard = read_job(), Listener()
    told: dict[str, Any] = {}
    for name, token in (("stranger", "sk-nobody"), ("customer", job["token_of_free_plan"])):
        with OpenAI(api_key=token, base_url=job["base_url"], max_retries=0) as client:
            told[name] = [refused(client), unsold(client)]
    with OpenAI(api_key=job["token"], base_url=job["base_url"]) as client:
        told["transcriber"] = refused(client, intent="transcription")
        told["end"] = outlive(client, heard)
    heard.report(told=told)


main()
