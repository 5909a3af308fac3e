"""Reads JSON and JSON Lines: every value is in a paragraph, with the names above it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.chunks import Paragraph
from voice_trio.knowledge.importing.readers.decoding import text_encoding
from voice_trio.knowledge.importing.readers.tables import (
    TEXT_FIELDS,
    TITLE_CHARACTERS_MAX,
    TITLE_FIELDS,
    record_paragraph,
)
from voice_trio.knowledge.importing.readers.text_tables import bounded_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voice_trio.knowledge.importing.readers.source_file import SourceFile

JSON_BYTES_MAX = 50_000_000


class JsonObject(list[tuple[str, Any]]):
    """An object as its pairs, because names may come twice."""


def read_json(source: SourceFile) -> Iterator[Paragraph]:
    """Read a JSON file: records, lists of records below any names, questions with answers, values at any depth."""
    source.check_size(JSON_BYTES_MAX)
    with source.text(text_encoding(source)) as file:
        text = file.read()
    try:
        value = _loads(text)
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Extra data") or "\n" not in text.strip():
            raise UnreadableDocument(f"not JSON: {error}"[:300]) from error
        yield from _read_lines(source, text.split("\n"))  # JSON lines under another name
        return
    except RecursionError as error:
        raise UnreadableDocument("not JSON that can be read: nested too deeply") from error
    yield from _value_paragraphs(value, source.stem, source.name)


def read_jsonl(source: SourceFile) -> Iterator[Paragraph]:
    """Read one JSON value per line; lines that are not JSON are named."""
    with source.text(text_encoding(source)) as file:
        yield from _read_lines(source, bounded_lines(file))


def _read_lines(source: SourceFile, lines: Iterable[str]) -> Iterator[Paragraph]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = _loads(line)
        except (ValueError, RecursionError) as error:
            source.lose(f"line {number}", f"not JSON ({error})"[:200])
        else:
            yield from _value_paragraphs(value, source.stem, f"{source.name}, line {number}")


def _loads(text: str) -> Any:
    # Numbers stay as they are written: 1.50 is a price, and large numbers keep their digits.
    return json.loads(text, object_pairs_hook=JsonObject, parse_int=str, parse_float=str, parse_constant=str)


def _value_paragraphs(value: Any, title: str, source: str) -> Iterator[Paragraph]:
    match value:
        case JsonObject():
            yield from _object_paragraphs(value, title, source)
        case list():
            plain = [text for each in value if not _is_container(each) and (text := _plain(each))]
            if plain:
                yield Paragraph(title, "\n".join(plain), source)
            for number, each in enumerate(value, start=1):
                if _is_container(each):
                    yield from _value_paragraphs(each, title, f"{source}, item {number}")
        case _:
            if text := _plain(value):
                yield Paragraph(title, text, source)


def _object_paragraphs(record: JsonObject, title: str, source: str) -> Iterator[Paragraph]:
    simple = [(name, value) for name, value in record if not _is_container(value)]
    nested = [(name, value) for name, value in record if _is_container(value)]
    names = {name.strip().lower() for name, value in simple if _plain(value)}
    if names & set(TEXT_FIELDS):  # a record: what is nested in it belongs to it
        yield record_paragraph([pair for name, value in record for pair in _flat(name, value)], title, source)
        return
    if fields := [(name, text) for name, value in simple if (text := _plain(value))]:
        yield record_paragraph(fields, title, source)
    own = next((_plain(value) for name, value in simple if name.strip().lower() in TITLE_FIELDS and value), "")
    path = own if own and len(own) <= TITLE_CHARACTERS_MAX else title
    for name, value in nested:
        yield from _value_paragraphs(value, f"{path} – {name}"[-2 * TITLE_CHARACTERS_MAX :], source)


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    match value:
        case JsonObject():
            for inner, each in value:
                yield from _flat(f"{name} {inner}", each)
        case list() if not any(map(_is_container, value)):
            yield name, ", ".join(map(_plain, value))
        case list():
            for each in value:
                yield from _flat(name, each)
        case _:
            yield name, _plain(value)


def _is_container(value: Any) -> bool:
    return isinstance(value, list)


def _plain(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value).strip()
