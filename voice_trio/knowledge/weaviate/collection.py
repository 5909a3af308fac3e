"""The schema of a collection that documents are imported into: created, completed or refused. Synchronous.

Passages have text, title and source, and three properties of our own: document and digest, hexadecimal words that
filters match exactly with any tokenisation, and the path of the file. Ours are left out of the vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voice_trio.errors import ConfigurationError, KnowledgeUnavailable

if TYPE_CHECKING:
    from weaviate import WeaviateClient

DOCUMENT_PROPERTY = "voice_trio_document"
DIGEST_PROPERTY = "voice_trio_digest"
PATH_PROPERTY = "voice_trio_path"
OUR_PROPERTIES = (DOCUMENT_PROPERTY, DIGEST_PROPERTY, PATH_PROPERTY)
NO_VECTORIZER = "none"


@dataclass(frozen=True, slots=True)
class NewCollection:
    """How to create the collection if it is missing. Without `vectorizer` the server's default one is used."""

    vectorizer: str | None = None


def create_collection(client: WeaviateClient, name: str, text_property: str, new: NewCollection) -> None:
    """Create the collection; raises the types of `foreign_errors`, for example for a module that the server lacks."""
    # As a dictionary: without a vectorizer the library's own function asks for `none`, not for the server's default.
    schema: dict[str, Any] = {
        "class": name,
        "properties": [{"name": each, "dataType": ["text"]} for each in (text_property, "title")],
    }
    if new.vectorizer is not None:
        schema["vectorizer"] = new.vectorizer
    client.collections.create_from_dict(schema)
    complete_collection(client, name, text_property)


def property_names(client: WeaviateClient, name: str) -> set[str]:
    """The names of the collection's properties. Raises the types of `foreign_errors`."""
    return {each.name for each in client.collections.use(name).config.get(simple=True).properties}


def complete_collection(client: WeaviateClient, name: str, text_property: str) -> None:
    """Add the properties that an import needs. Raises `KnowledgeUnavailable` if the collection does not fit."""
    from weaviate.classes.config import DataType

    config = client.collections.use(name).config
    types = {each.name: each.data_type for each in config.get(simple=True).properties}
    needed = (text_property, "title", "source", *OUR_PROPERTIES)
    wrong = [
        f"`{each}` is {types[each].value}, not text"
        for each in needed
        if types.get(each, DataType.TEXT) != DataType.TEXT
    ]
    if wrong:
        raise KnowledgeUnavailable(f"the collection {name} does not fit: {'; '.join(wrong)}")
    if types and text_property not in types:
        raise KnowledgeUnavailable(
            f"the collection {name} does not fit: it has no property `{text_property}` (WEAVIATE_TEXT_PROPERTY), "
            f"only {', '.join(sorted(types))}"
        )
    for each in needed:
        if each not in types:
            config.add_property(_unvectorized(each))


def check_vectorizer(client: WeaviateClient, name: str, alpha: float) -> None:
    """Raises `ConfigurationError` if searches with `alpha` need vectors, and the collection makes none."""
    if alpha > 0 and not vectorizers(client, name):
        raise ConfigurationError(
            f"the collection {name} has no vectorizer, and RAG_ALPHA={alpha:g} searches by vectors too: "
            "set RAG_ALPHA=0 for words only, or delete the collection and use --create --vectorizer MODULE"
        )


def vectorizers(client: WeaviateClient, name: str) -> list[str]:
    """The modules that vectorise passages of the collection; empty if it makes no vectors itself."""
    config = client.collections.use(name).config.get(simple=True)
    named = [each.vectorizer.vectorizer for each in (config.vector_config or {}).values()]
    modules = [*named, config.vectorizer] if config.vectorizer is not None else named
    names = (str(getattr(each, "value", each)) for each in modules)
    return [each for each in names if each != NO_VECTORIZER]


def _unvectorized(name: str) -> Any:
    from weaviate.classes.config import DataType, Property

    return Property(name=name, data_type=DataType.TEXT, skip_vectorization=True)
