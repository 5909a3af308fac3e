"""A knowledge base in Weaviate: hybrid search through its own client library, in worker threads.

It connects at the first search or look-up. A cancelled search is abandoned; its thread ends by the timeout of the
library. While Weaviate's gRPC port is closed, the library retries for about a minute in such a thread. For that reason
a circuit breaker belongs in front. Whatever the library raises becomes `KnowledgeUnavailable` here.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from voice_trio import limits
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.errors import ConfigurationError, KnowledgeUnavailable
from voice_trio.knowledge.knowledge import DocumentTitles, document_title
from voice_trio.knowledge.weaviate.client_library import import_client_library, mapping_every_error
from voice_trio.net.threads import Bulkhead

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from weaviate import WeaviateClient

GRPC_PORT = 50051
# An utterance rarely has more, and vectorisers have limits of their own; of a longer text the last words count.
QUERY_CHARACTERS_MAX = 2_000
TITLED_PASSAGES_MAX = 100
"""Passages whose titles are read to name documents: one request, and no count of a collection that may be large."""
TITLE_PROPERTIES = ("title", "name", "heading")
SOURCE_PROPERTIES = ("source", "url", "path", "file")


@dataclass(frozen=True, slots=True)
class WeaviateAddress:
    """The REST and gRPC addresses of a Weaviate, both with TLS or both without."""

    http_host: str
    http_port: int
    grpc_host: str
    grpc_port: int
    secure: bool

    @classmethod
    def of(cls, url: str) -> WeaviateAddress:
        """Derive both addresses from one URL. Raises `ConfigurationError`.

        Weaviate Cloud (`https://….weaviate.cloud`) has gRPC at the host with the prefix `grpc-`, port 443. Elsewhere it
        is the same host, port 50051. `?grpc_port=…` and `?grpc_host=…` in the URL override that.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError("WEAVIATE_URL: must be http://host:port or https://host")
        secure, host = parts.scheme == "https", parts.hostname
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        is_cloud = host.endswith((".weaviate.cloud", ".weaviate.network"))
        try:
            grpc_port = int(options.get("grpc_port", 443 if is_cloud else GRPC_PORT))
            http_port = parts.port or (443 if secure else 80)
        except ValueError as error:
            raise ConfigurationError("WEAVIATE_URL: a port must be a number up to 65535") from error
        grpc_host = options.get("grpc_host", _cloud_grpc_host(host) if is_cloud else host)
        return cls(host, http_port, grpc_host, grpc_port, secure)


class WeaviateKnowledge:
    """A `Knowledge` over one collection with any vectoriser.

    `alpha`: 0 is words only, 1 is vectors only. `observe` is called after each search with the seconds that it waited
    for a thread and the seconds that it took there.
    """

    def __init__(
        self,
        address: WeaviateAddress,
        *,
        api_key: str | None = None,
        collection: str = "Document",
        text_property: str = "content",
        alpha: float = 0.7,
        search_seconds_max: float = limits.SEARCH_SECONDS_MAX,
        observe: Callable[[float, float], None] | None = None,
    ) -> None:
        self._address = address
        self._api_key = api_key
        self._collection = collection
        self._text_property = text_property
        self._alpha = alpha
        self._search_seconds_max = search_seconds_max
        self._observe = observe
        self._threads = Bulkhead(limits.WEAVIATE_THREADS_MAX)
        self._health_thread = Bulkhead(1)
        self._look_up_thread = Bulkhead(1)
        self._connecting = threading.Lock()
        self._client: WeaviateClient | None = None

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        """The `limit` best passages, best first. Raises `KnowledgeUnavailable`; cancellation returns at once."""
        # Lone surrogates cannot be encoded.
        query = query[-QUERY_CHARACTERS_MAX:].encode("utf-8", "replace").decode().strip()
        if not query or limit < 1:
            return ()
        asked_at = time.monotonic()
        passages, began_at, ended_at = await self._threads.read(self._search, query, limit)
        if self._observe is not None:
            self._observe(began_at - asked_at, ended_at - began_at)
        return passages

    async def look_up(self, ids: Sequence[str]) -> tuple[Passage, ...]:
        """The passages of `ids` that exist and that the API key may read; raises `KnowledgeUnavailable`."""
        return await self._look_up_thread.read(self._look_up, ids)

    async def is_available(self) -> bool:
        """Whether Weaviate reports that it is ready; never raises. Takes at most the time of a search."""
        try:
            return await self._health_thread.read(self._is_ready)
        except Exception:  # of whatever kind: a health check must not end its caller
            return False

    async def is_empty(self) -> bool | None:
        """Whether the collection holds no object; None if Weaviate does not say. Takes at most the time of a search."""
        try:
            return await self._health_thread.read(self._holds_nothing)
        except Exception:  # of whatever kind, as above
            return None

    async def titles(self, limit: int) -> DocumentTitles:
        """The titles of documents of which a passage is among the first 100; raises `KnowledgeUnavailable`."""
        return await self._health_thread.read(self._first_titles, limit)

    def close(self) -> None:
        """Close the connections; the next search makes new ones."""
        with self._connecting:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def busy(self) -> int:
        """Threads with a search under way, abandoned ones included."""
        return self._threads.busy

    def _search(self, query: str, limit: int) -> tuple[tuple[Passage, ...], float, float]:
        began_at = time.monotonic()
        with mapping_every_error():
            import_client_library()
            from weaviate.classes.query import MetadataQuery

            found = (
                self._connected()
                .collections.use(self._collection)
                .query.hybrid(query, alpha=self._alpha, limit=limit, return_metadata=MetadataQuery(score=True))
            )
            passages = tuple(self._passage(each) for each in found.objects)
        return tuple(passage for passage in passages if passage.text.strip()), began_at, time.monotonic()

    def _look_up(self, ids: Sequence[str]) -> tuple[Passage, ...]:
        with mapping_every_error():
            import_client_library()
            from weaviate.exceptions import InsufficientPermissionsError

            query = self._connected().collections.use(self._collection).query
            try:
                found = query.fetch_objects_by_ids([uuid.UUID(each) for each in ids], limit=len(ids))
            except InsufficientPermissionsError:
                return ()  # for this key the passages do not exist any more
            return tuple(passage for passage in map(self._passage, found.objects) if passage.text.strip())

    def _passage(self, found: Any) -> Passage:
        properties = {name: value for name, value in found.properties.items() if isinstance(value, str)}
        title = next((properties[name] for name in TITLE_PROPERTIES if name in properties), "")
        source = next((properties[name] for name in SOURCE_PROPERTIES if name in properties), "")
        text = properties.get(self._text_property, "")
        return Passage(str(found.uuid), title, text, source, found.metadata.score or 0.0)

    def _is_ready(self) -> bool:
        return bool(self._connected().is_ready())

    def _holds_nothing(self) -> bool:
        with mapping_every_error():
            return not self._connected().collections.use(self._collection).query.fetch_objects(limit=1).objects

    def _first_titles(self, limit: int) -> DocumentTitles:
        with mapping_every_error():
            query = self._connected().collections.use(self._collection).query
            found = query.fetch_objects(limit=TITLED_PASSAGES_MAX).objects
            titles = sorted({document_title(self._passage(each).title) for each in found} - {""})
        return DocumentTitles(None if found else 0, tuple(titles[:limit]))

    def _connected(self) -> WeaviateClient:
        """The client; the first caller connects it, others wait for that at most the time of a search."""
        if self._client is not None:
            return self._client
        if not self._connecting.acquire(timeout=self._search_seconds_max):
            raise KnowledgeUnavailable("weaviate: still connecting")
        try:
            if self._client is None:
                self._client = connect(self._address, self._api_key, self._search_seconds_max)
            return self._client
        finally:
            self._connecting.release()


def connect(address: WeaviateAddress, api_key: str | None, seconds_max: float) -> WeaviateClient:
    """A connected client whose calls take `seconds_max` at most; blocks. Raises the types of `foreign_errors`."""
    import_client_library()
    import weaviate
    from weaviate.classes.init import AdditionalConfig, Auth, Timeout

    return weaviate.connect_to_custom(
        http_host=address.http_host,
        http_port=address.http_port,
        http_secure=address.secure,
        grpc_host=address.grpc_host,
        grpc_port=address.grpc_port,
        grpc_secure=address.secure,
        auth_credentials=Auth.api_key(api_key) if api_key else None,
        additional_config=AdditionalConfig(
            timeout=Timeout(init=seconds_max, query=seconds_max, insert=limits.WEAVIATE_INSERT_SECONDS_MAX)
        ),
        skip_init_checks=True,  # these checks request the package index for newer versions
    )


def _cloud_grpc_host(host: str) -> str:
    if host.endswith(".weaviate.network"):
        name, _, domain = host.partition(".")
        return f"{name}.grpc.{domain}"
    return f"grpc-{host}"
