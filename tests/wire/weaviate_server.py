"""A Weaviate as far as searches go: its own gRPC and REST messages on loopback, with verbs for what goes wrong."""

from __future__ import annotations

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import grpc  # type: ignore[import-untyped] # it comes without types
from weaviate.proto.v1 import properties_pb2, search_get_pb2

from voice_trio.services.kept_passages import KeptPassages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.conversation.passages import Passage

SEARCH = "/weaviate.v1.Weaviate/Search"
VERSION = "1.31.0"


class WeaviateServer:
    """Ranks what it holds by words. A context manager; `requests` are the searches it was sent, `keys` their keys."""

    def __init__(self, passages: Iterable[Passage] = (), *, api_key: str | None = None) -> None:
        self.requests: list[Any] = []
        self.keys: list[str] = []
        self.rest_paths: list[str] = []
        self._held = KeptPassages()
        self._held.keep(passages, 0.0)
        self._lock = threading.Lock()
        self._api_key = api_key
        self._seconds = 0.0
        self._status: grpc.StatusCode | None = None
        self._is_half = False
        self._wake = threading.Event()
        self._grpc = grpc.server(ThreadPoolExecutor(8))
        self._grpc.add_generic_rpc_handlers((_Handlers(self),))
        self.grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        self._rest = ThreadingHTTPServer(("127.0.0.1", 0), _rest_handler(self))
        self._rest.daemon_threads = True
        self._rest_thread = threading.Thread(target=self._rest.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._rest.server_port}?grpc_port={self.grpc_port}"

    def __enter__(self) -> WeaviateServer:
        self._grpc.start()
        self._rest_thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._rest.shutdown()
        self._rest.server_close()
        self._rest_thread.join(5)

    # Verbs

    def behave(self) -> None:
        """From now on answer at once."""
        self._seconds, self._status, self._is_half = 0.0, None, False

    def answer_after(self, seconds: float) -> None:
        self.behave()
        self._seconds = seconds

    def hang(self) -> None:
        """Accept, and never answer."""
        self.answer_after(3_600.0)

    def fail(self, status: grpc.StatusCode = grpc.StatusCode.INTERNAL) -> None:
        self.behave()
        self._status = status

    def answer_half(self) -> None:
        """Break off in the middle of the message."""
        self.behave()
        self._is_half = True

    def close(self) -> None:
        """Stop answering gRPC; the port is closed."""
        self._wake.set()
        self._grpc.stop(0).wait(5)

    # What the handlers do

    def search(self, request: Any, context: grpc.ServicerContext) -> Any:
        metadata = dict(context.invocation_metadata())
        self.requests.append(request)
        self.keys.append(str(metadata.get("authorization", "")))
        if self._api_key is not None and self.keys[-1] != f"Bearer {self._api_key}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "anonymous access not enabled")
        self._wake.wait(self._seconds)
        if self._status is not None:
            context.abort(self._status, "told to fail")
        with self._lock:
            found = self._held.search(request.hybrid_search.query, request.limit, 0.0)
        reply = search_get_pb2.SearchReply(took=0.001)
        for passage in found:
            reply.results.append(_result(passage))
        return reply

    def serialise(self, reply: Any) -> bytes:
        whole: bytes = reply.SerializeToString()
        return whole[: len(whole) // 2] if self._is_half else whole


def _result(passage: Passage) -> Any:
    fields = {
        name: properties_pb2.Value(text_value=value)
        for name, value in (("title", passage.title), ("content", passage.text), ("source", passage.source))
    }
    fields["pages"] = properties_pb2.Value(int_value=3)
    return search_get_pb2.SearchResult(
        properties=search_get_pb2.PropertiesResult(
            non_ref_props=properties_pb2.Properties(fields=fields), target_collection="Document"
        ),
        metadata=search_get_pb2.MetadataResult(
            id=str(uuid.uuid5(uuid.NAMESPACE_URL, passage.id)), score=passage.score, score_present=True
        ),
    )


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc] # as above
    def __init__(self, server: WeaviateServer) -> None:
        self._server = server

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if handler_call_details.method != SEARCH:
            return None
        return grpc.unary_unary_rpc_method_handler(
            self._server.search,
            request_deserializer=search_get_pb2.SearchRequest.FromString,
            response_serializer=self._server.serialise,
        )


def _rest_handler(server: WeaviateServer) -> type[BaseHTTPRequestHandler]:
    class Rest(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.rest_paths.append(self.path)
            body = json.dumps({"version": VERSION, "hostname": "http://[::]:8080", "modules": {}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Rest
