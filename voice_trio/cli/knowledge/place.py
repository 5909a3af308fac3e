"""Which knowledge base a `voice-trio knowledge` command works on: the options, and how it is opened."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeAlias, TypeVar

import click
from click.core import ParameterSource

from voice_trio.cli.demo.base import DEMO_FILE, demo_knowledge_path, forget_speech
from voice_trio.errors import ConfigurationError
from voice_trio.knowledge.passage_cache.forgetting import forget_passages
from voice_trio.knowledge.sqlite.base import KnowledgeWriter, default_knowledge_path
from voice_trio.knowledge.sqlite.readers import read_stored_documents
from voice_trio.knowledge.weaviate.importer import WeaviateTarget
from voice_trio.knowledge.weaviate.knowledge import WeaviateAddress
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voice_trio.knowledge.stored_documents import StoredDocument
    from voice_trio.knowledge.weaviate.collection import NewCollection
    from voice_trio.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")
DocumentStore: TypeAlias = KnowledgeWriter | WeaviateTarget


@dataclass(frozen=True)
class KnowledgePlace:
    """A base: the file `base`, or the Weaviate that the settings name."""

    base: Path
    is_weaviate: bool = False

    def __str__(self) -> str:
        weaviate = self.settings.weaviate if self.is_weaviate else None
        return f"{weaviate.url}, {weaviate.collection}" if weaviate else str(self.base)

    @cached_property
    def settings(self) -> Settings:
        """What the environment says of Weaviate; a command on a file needs none of it. Raises `ConfigurationError`."""
        return load_settings()

    @property
    def is_of_demo(self) -> bool:
        """Whether this is the file of the demo, which is meant to have its handbook."""
        return not self.is_weaviate and self.base.name == DEMO_FILE

    def open(self, new: NewCollection | None = None) -> DocumentStore:
        """For one block, to read and to write; a missing collection is created as `new` says.

        Raises `ConfigurationError` and `KnowledgeUnavailable`.
        """
        return _weaviate_target(self.settings, new) if self.is_weaviate else KnowledgeWriter(self.base)

    def delete(self, documents: Sequence[StoredDocument]) -> None:
        """Delete `documents`, also from the passage caches of this machine. Raises as `open`."""
        with self.open() as store:
            passages = store.delete(documents)
        if not self.is_weaviate:  # a demo that runs learns what is left
            forget_speech(self.base)
        if passages:
            forget_passages(self.settings.retrieval.knowledge_path, passages)

    def documents(self) -> list[StoredDocument]:
        """The documents of the base; creates nothing. Raises as `open`."""
        if not self.is_weaviate:
            return read_stored_documents(self.base)
        with self.open() as target:
            return target.documents()


def base_options(command: Callable[P, R]) -> Callable[..., R]:
    """Adds `--path` and `--demo`; the command gets the file that they mean as `base`."""

    @click.option(
        "--path",
        envvar="KNOWLEDGE_PATH",
        show_envvar=True,
        type=click.Path(dir_okay=False, path_type=Path),
        help="The knowledge base file; default: in the user's data directory.",
    )
    @click.option("--demo", is_flag=True, help="The knowledge base of `voice-trio demo`.")
    @click.pass_context
    @functools.wraps(command)
    def with_base(ctx: click.Context, /, *args: P.args, **kwargs: P.kwargs) -> R:
        path, demo = kwargs.pop("path"), kwargs.pop("demo")
        assert path is None or isinstance(path, Path)
        if demo and ctx.get_parameter_source("path") is ParameterSource.COMMANDLINE:
            raise click.UsageError("--demo and --path name two bases: give one of them")
        kwargs["base"] = demo_knowledge_path(path) if demo else path or default_knowledge_path()
        return command(*args, **kwargs)

    return with_base


def place_options(command: Callable[P, R]) -> Callable[..., R]:
    """Adds `--to` to the `base_options`; the command gets a `KnowledgePlace` as `place`."""

    @click.option(
        "--to",
        "store",
        type=click.Choice(["embedded", "weaviate"]),
        default="embedded",
        show_default=True,
        help="Which base; `weaviate`: the collection that WEAVIATE_URL and WEAVIATE_COLLECTION name.",
    )
    @base_options
    @functools.wraps(command)
    def with_place(*args: P.args, **kwargs: P.kwargs) -> R:
        base, store = kwargs.pop("base"), kwargs.pop("store")
        assert isinstance(base, Path)
        kwargs["place"] = KnowledgePlace(base, is_weaviate=store == "weaviate")
        return command(*args, **kwargs)

    return with_place


def _weaviate_target(settings: Settings, new: NewCollection | None) -> WeaviateTarget:
    weaviate = settings.weaviate
    if weaviate.url is None:
        raise ConfigurationError("WEAVIATE_URL is not set")
    return WeaviateTarget(
        WeaviateAddress.of(str(weaviate.url)),
        api_key=weaviate.api_key.get_secret_value() if weaviate.api_key else None,
        collection=weaviate.collection,
        text_property=weaviate.text_property,
        new=new,
    )
