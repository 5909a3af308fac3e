"""A Weaviate for searches and imports: its own gRPC and REST messages on loopback, with verbs for what goes wrong."""

from __future__ import annotations

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import grpc  # type: ignore[import-untyped] # it comes without types
from weaviate.proto.v1 import base_pb2, batch_delete_pb2, batch_pb2, properties_pb2, search_get_pb2

from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.knowledge.passage_cache.cache import PassageCache

if TYPE_CHECKING:
    from collections.abc import Iterable

SERVICE = "/weaviate.v1.Weaviate/"
VERSION = "1.31.0"


class WeaviateServer:
    """Ranks what it holds by words. A context manager; `requests` are the searches it was sent, `keys` their keys."""

    def __init__(self, passages: Iterable[Passage] = (), *, api_key: str | None = None) -> None:
        self.requests: list[Any] = []
        self.keys: list[str] = []
        self.rest_paths: list[str] = []
        self.objects: dict[str, dict[str, str]] = {}
        for each in passages:
            key = str(uuid.uuid5(uuid.NAMESPACE_URL, each.id))
            self.objects[key] = {"title": each.title, "content": each.text, "source": each.source}
        self.schemas: dict[str, dict[str, Any]] = {"Document": collection_schema("Document")}
        self.default_vectorizer = "text2vec-transformers"
        self.refused_titles: set[str] = set()
        self.missing: set[str] = set()
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
        if request.collection in self.missing:
            context.abort(grpc.StatusCode.UNKNOWN, f"could not find class {request.collection} in schema")
        with self._lock:
            found = self._found(request)
        return search_get_pb2.SearchReply(took=0.001, results=found)

    def insert(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.requests.append(request)
        if self._status is not None:
            context.abort(self._status, "told to fail")
        errors = []
        with self._lock:
            for index, each in enumerate(request.objects):
                values = each.properties.non_ref_properties
                if values["title"] in self.refused_titles:
                    errors.append(batch_pb2.BatchObjectsReply.BatchError(index=index, error="told to refuse it"))
                    continue
                self.objects[each.uuid] = {name: values[name] for name in values}
        return batch_pb2.BatchObjectsReply(took=0.001, errors=errors)

    def delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.requests.append(request)
        with self._lock:
            doomed = [key for key, properties in self.objects.items() if _matches(request.filters, properties)]
            for key in doomed:
                del self.objects[key]
        told = [batch_delete_pb2.BatchDeleteObject(uuid=uuid.UUID(key).bytes, successful=True) for key in doomed]
        return batch_delete_pb2.BatchDeleteReply(
            took=0.001, matches=len(doomed), successful=len(doomed), objects=told if request.verbose else []
        )

    def _found(self, request: Any) -> list[Any]:
        if request.HasField("filters"):
            return self._by_id(request)
        if request.HasField("hybrid_search"):
            return self._ranked(request)
        keys = sorted(key for key in self.objects if key > request.after)
        return [_result(key, self.objects[key], 0.0) for key in keys[: request.limit]]

    def _ranked(self, request: Any) -> list[Any]:
        held = PassageCache()
        held.put(
            (
                Passage(key, each.get("title", ""), each.get("content", ""), each.get("source", ""))
                for key, each in self.objects.items()
            ),
            0.0,
        )
        found = held.search(request.hybrid_search.query, request.limit, 0.0)
        return [_result(passage.id, self.objects[passage.id], passage.score) for passage in found]

    def _by_id(self, request: Any) -> list[Any]:
        filters = request.filters
        either = filters.filters if filters.operator == base_pb2.Filters.OPERATOR_OR else [filters]
        keys = [key for each in either for key in (*each.value_text_array.values, each.value_text)]
        return [_result(key, self.objects[key], 0.0) for key in keys if key in self.objects]

    def serialise(self, reply: Any) -> bytes:
        whole: bytes = reply.SerializeToString()
        return whole[: len(whole) // 2] if self._is_half else whole


def _result(key: str, properties: dict[str, str], score: float) -> Any:
    fields = {name: properties_pb2.Value(text_value=value) for name, value in properties.items()}
    fields["pages"] = properties_pb2.Value(int_value=3)
    return search_get_pb2.SearchResult(
        properties=search_get_pb2.PropertiesResult(
            non_ref_props=properties_pb2.Properties(fields=fields), target_collection="Document"
        ),
        metadata=search_get_pb2.MetadataResult(
            id=key,
            id_as_bytes=uuid.UUID(key).bytes,
            score=score,
            score_present=True,
            creation_time_unix=1,
            creation_time_unix_present=True,
            last_update_time_unix=1,
            last_update_time_unix_present=True,
        ),
    )


def _matches(filters: Any, properties: dict[str, str]) -> bool:
    """Whether an object fits: equal, one of several, not equal, and all of these."""
    match filters.operator:
        case base_pb2.Filters.OPERATOR_AND:
            return all(_matches(each, properties) for each in filters.filters)
        case base_pb2.Filters.OPERATOR_EQUAL:
            return bool(properties.get(filters.target.property) == filters.value_text)
        case base_pb2.Filters.OPERATOR_CONTAINS_ANY:
            return properties.get(filters.target.property) in filters.value_text_array.values
        case base_pb2.Filters.OPERATOR_NOT_EQUAL:
            return bool(properties.get(filters.target.property) != filters.value_text)
    raise NotImplementedError(filters.operator)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc] # as above
    def __init__(self, server: WeaviateServer) -> None:
        self._server = server

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        handlers: dict[str, tuple[Any, Any]] = {
            "Search": (self._server.search, search_get_pb2.SearchRequest),
            "BatchObjects": (self._server.insert, batch_pb2.BatchObjectsRequest),
            "BatchDelete": (self._server.delete, batch_delete_pb2.BatchDeleteRequest),
        }
        known = handlers.get(handler_call_details.method.removeprefix(SERVICE))
        if known is None:
            return None
        handle, request = known
        return grpc.unary_unary_rpc_method_handler(
            handle, request_deserializer=request.FromString, response_serializer=self._server.serialise
        )


def _rest_handler(server: WeaviateServer) -> type[BaseHTTPRequestHandler]:
    class Rest(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.rest_paths.append(self.path)
            name = self.path.removeprefix("/v1/schema/")
            if name == self.path:
                self.answer({"version": VERSION, "hostname": "http://[::]:8080", "modules": {}})
            else:
                self.answer(server.schemas.get(name))

        def do_POST(self) -> None:
            server.rest_paths.append(self.path)
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/v1/schema":
                made = collection_schema(asked["class"], asked.get("vectorizer", server.default_vectorizer))
                server.schemas[asked["class"]] = made | asked
                server.schemas[asked["class"]]["properties"] = [_property(each) for each in asked["properties"]]
            else:
                server.schemas[self.path.split("/")[3]]["properties"].append(_property(asked))
            self.answer(asked)

        def do_DELETE(self) -> None:
            server.rest_paths.append(self.path)
            self.answer(server.schemas.pop(self.path.removeprefix("/v1/schema/"), None))

        def answer(self, found: dict[str, Any] | None) -> None:
            body = json.dumps(found or {}).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Rest


def collection_schema(
    name: str, vectorizer: str = "text2vec-transformers", types: dict[str, str] | None = None
) -> dict[str, Any]:
    """What Weaviate says of a collection, as far as it is read; `types` are the types of its properties by name."""
    types = {"title": "text", "content": "text", "source": "text"} if types is None else types
    properties = [_property({"name": each, "dataType": [kind]}) for each, kind in types.items()]
    return {"class": name, "vectorizer": vectorizer, "moduleConfig": {vectorizer: {}}, "properties": properties}


def _property(asked: dict[str, Any]) -> dict[str, Any]:
    return {"indexFilterable": True, "indexSearchable": True, "tokenization": "word"} | asked
