"""A knowledge base in Weaviate: hybrid search through its own client, in worker threads that nobody waits for in vain.

Nothing is connected before the first search or look, and the client library, which is slow to import, is imported then.
A search that is cancelled is abandoned; its thread ends with the driver's own timeout. While Weaviate's gRPC port is
closed the driver retries by itself for about a minute in such a thread, which is why a breaker belongs in front.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.errors import ConfigurationError, KnowledgeUnavailable
from voice_trio.net.threads import Bulkhead

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from weaviate import WeaviateClient

THREADS_MAX = 32
GRPC_PORT = 50051
# Speech hardly has more, and whatever makes the vectors has limits of its own; of a longer text the last words count.
QUERY_CHARACTERS_MAX = 2_000
TITLE_PROPERTIES = ("title", "name", "heading")
SOURCE_PROPERTIES = ("source", "url", "path", "file")


@dataclass(frozen=True, slots=True)
class WeaviateAddress:
    """Where a Weaviate answers: REST and gRPC, both with TLS or both without."""

    http_host: str
    http_port: int
    grpc_host: str
    grpc_port: int
    secure: bool

    @classmethod
    def of(cls, url: str) -> WeaviateAddress:
        """From one URL. Raises `ConfigurationError`.

        Weaviate Cloud (`https://….weaviate.cloud`): gRPC at the host with `grpc-` in front, port 443. Elsewhere: the
        same host, port 50051. `?grpc_port=…` and `?grpc_host=…` in the URL say otherwise.
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

    `alpha`: 0 is words only, 1 vectors only. `observe` is told of each search that came back how many seconds it waited
    for a thread and how many it took in it.
    """

    def __init__(
        self,
        address: WeaviateAddress,
        *,
        api_key: str | None = None,
        collection: str = "Document",
        text_property: str = "content",
        alpha: float = 0.7,
        search_seconds_max: float = 2.0,
        observe: Callable[[float, float], None] | None = None,
    ) -> None:
        self._address = address
        self._api_key = api_key
        self._collection = collection
        self._text_property = text_property
        self._alpha = alpha
        self._search_seconds_max = search_seconds_max
        self._observe = observe
        self._threads = Bulkhead(THREADS_MAX)
        self._health_thread = Bulkhead(1)
        self._look_up_thread = Bulkhead(1)
        self._connecting = threading.Lock()
        self._client: WeaviateClient | None = None

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        """The `limit` best passages, best first. Raises `KnowledgeUnavailable`; cancellation returns at once."""
        # Lone surrogates could not be sent.
        query = query[-QUERY_CHARACTERS_MAX:].encode("utf-8", "replace").decode().strip()
        if not query or limit < 1:
            return ()
        asked_at = time.monotonic()
        passages, began_at, ended_at = await self._threads.read(self._search, query, limit)
        if self._observe is not None:
            self._observe(began_at - asked_at, ended_at - began_at)
        return passages

    async def look_up(self, ids: Sequence[str]) -> tuple[Passage, ...]:
        """Those of these passages that there are now and that the key may see; raises `KnowledgeUnavailable`."""
        return await self._look_up_thread.read(self._look_up, ids)

    async def is_available(self) -> bool:
        """Whether Weaviate says that it is ready; never raises. Takes as long as a search may."""
        return await self._health_thread.read(self._is_ready)

    def close(self) -> None:
        """Close the connections; a search from now on makes new ones."""
        with self._connecting:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def busy(self) -> int:
        """Threads that search now, those included that nobody waits for any more."""
        return self._threads.busy

    def _search(self, query: str, limit: int) -> tuple[tuple[Passage, ...], float, float]:
        from weaviate.classes.query import MetadataQuery

        began_at = time.monotonic()
        try:
            found = (
                self._connected()
                .collections.use(self._collection)
                .query.hybrid(query, alpha=self._alpha, limit=limit, return_metadata=MetadataQuery(score=True))
            )
            passages = tuple(self._passage(each) for each in found.objects)
        except foreign_errors() as error:
            raise KnowledgeUnavailable(f"weaviate: {in_short(error)}") from error
        return tuple(passage for passage in passages if passage.text.strip()), began_at, time.monotonic()

    def _look_up(self, ids: Sequence[str]) -> tuple[Passage, ...]:
        from weaviate.exceptions import InsufficientPermissionsError

        try:
            objects = (
                self._connected()
                .collections.use(self._collection)
                .query.fetch_objects_by_ids([uuid.UUID(each) for each in ids], limit=len(ids))
                .objects
            )
        except InsufficientPermissionsError:
            return ()  # what the key may not see any more is not there for it
        except foreign_errors() as error:
            raise KnowledgeUnavailable(f"weaviate: {in_short(error)}") from error
        return tuple(passage for passage in map(self._passage, objects) if passage.text.strip())

    def _passage(self, found: Any) -> Passage:
        properties = {name: value for name, value in found.properties.items() if isinstance(value, str)}
        title = next((properties[name] for name in TITLE_PROPERTIES if name in properties), "")
        source = next((properties[name] for name in SOURCE_PROPERTIES if name in properties), "")
        text = properties.get(self._text_property, "")
        return Passage(str(found.uuid), title, text, source, found.metadata.score or 0.0)

    def _is_ready(self) -> bool:
        try:
            return bool(self._connected().is_ready())
        except KnowledgeUnavailable:
            return False
        except foreign_errors():
            return False

    def _connected(self) -> WeaviateClient:
        """The client, connected by whoever comes first; the others wait for it, but not for ever."""
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
    """A connected client whose calls take `seconds_max` at most; blocks. Raises what `foreign_errors` lists."""
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
        additional_config=AdditionalConfig(timeout=Timeout(init=seconds_max, query=seconds_max, insert=60)),
        skip_init_checks=True,  # they would ask the package index for newer clients
    )


def foreign_errors() -> tuple[type[Exception], ...]:
    """What the client lets through when a server is away, slow, wrong or half."""
    from weaviate.exceptions import WeaviateBaseError

    return (WeaviateBaseError, OSError, ValueError, KeyError, AttributeError)


def in_short(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def _cloud_grpc_host(host: str) -> str:
    if host.endswith(".weaviate.network"):
        name, _, domain = host.partition(".")
        return f"{name}.grpc.{domain}"
    return f"grpc-{host}"
