"""Reads Markdown as CommonMark with tables: headings form the title, markup is removed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.rules_block.table import escapedSplit

from voice_trio.knowledge.importing.readers.cleaning import LineJoiner, clean_text, squeezed_lines
from voice_trio.knowledge.importing.readers.decoding import text_encoding
from voice_trio.knowledge.importing.readers.outline import Outline
from voice_trio.knowledge.importing.readers.tables import labelled_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token
    from markdown_it.utils import EnvType

    from voice_trio.knowledge.importing.chunks import Paragraph
    from voice_trio.knowledge.importing.readers.source_file import SourceFile

# Its blocks take about seventy times as much memory.
MARKDOWN_BYTES_MAX = 10_000_000
FRONT_MATTER_LINES_MAX = 100
# The time that the library takes for emphasis and links may grow with the square of the text.
INLINE_CHARACTERS_MAX = 20_000

_LINE_BREAK = "\u2028"
_TAG_BREAK = re.compile(r"</?(?:br|p|div|li|tr|h[1-6])\b", re.IGNORECASE)
# Every repetition is bounded, so that no line, however made, costs more than a small multiple of its length.
_LINK = re.compile(r"!?\[([^\[\]]{0,300})\](?:\([^()]{0,600}\)|\[[^\[\]]{0,100}\])")
_TAG = re.compile(r"<!--.{0,500}?-->|</?[A-Za-z][^<>]{0,200}>")
_QUOTE = re.compile(r"[>\s]*")
_EMPHASIS = re.compile(r"`+|(?<![\w*])[*_~]{1,3}(?=\S)|(?<=\S)[*_~]{1,3}(?![\w*])")


def read_markdown(source: SourceFile) -> Iterator[Paragraph]:
    """Read Markdown: headings form the title, `title:` and `source:` of the front matter count."""
    source.check_size(MARKDOWN_BYTES_MAX)
    with source.text(text_encoding(source)) as file:
        matter, text = _front_matter(clean_text(file.read()))
    title, cited = matter.get("title"), matter.get("source")
    outline = Outline(title or source.title, cited or source.name, has_title=title is not None)
    yield from _MarkdownDocument(outline).read(text)


class _MarkdownDocument:
    """The walk over the blocks of one document."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._joiner = LineJoiner()
        # Inline markup is parsed block by block, so that one piece of a document at a time is held in that form.
        self._parser = MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable(["inline", "text_join"])
        self._environment: EnvType = {}
        self._source_lines: list[str] = []
        self._lines: list[str] = []
        self._item = ""

    def read(self, text: str) -> Iterator[Paragraph]:
        self._joiner.learn(text)
        tokens = self._parser.parse(text, self._environment)
        self._source_lines = text.split("\n")
        number = 0
        while number < len(tokens):
            token = tokens[number]
            if token.type == "table_open":
                number = self._read_table(tokens, number)
            elif token.type == "heading_open" and token.level == 0:
                yield from self._end_block()
                yield from self._outline.enter(int(token.tag[1]), self._plain(tokens[number + 1].content))
                number += 2
            else:
                self._read_token(token)
            if tokens[min(number, len(tokens) - 1)].level == 0 and tokens[number].nesting <= 0:
                yield from self._end_block()
            number += 1
        yield from self._end_block()
        yield from self._outline.end()

    def _read_token(self, token: Token) -> None:
        match token.type:
            case "inline":
                self._lines.append(self._item + self._plain(token.content))
                self._item = ""
            case "fence" | "code_block":
                self._lines.append(token.content.strip("\n"))
            case "html_block":
                self._lines.append(html_as_text(token.content))
            case "list_item_open":
                self._item = f"{token.info}) " if token.info else ""

    def _read_table(self, tokens: Sequence[Token], start: int) -> int:
        """Read a table; returns the number of its last token."""
        rows: list[list[str]] = []
        number, line = start, [0, 0]
        while tokens[number].type != "table_close":
            if tokens[number].type == "tr_open":
                rows.append([])
                line = tokens[number].map or line
            elif tokens[number].type == "inline":
                rows[-1].append(self._plain(tokens[number].content))
            elif tokens[number].type == "tr_close" and rows[1:]:
                rows[-1] += map(self._plain, _cells(self._source_lines[line[0]])[len(rows[0]) :])
            number += 1
        self._lines.extend(labelled_rows(rows[0], rows[1:]))
        return number

    def _end_block(self) -> Iterator[Paragraph]:
        lines, self._lines = "\n".join(filter(None, self._lines)), []
        yield from self._outline.add(lines)

    def _plain(self, markup: str) -> str:
        """The words of inline markup, with its line breaks but without the ends of its lines."""
        if len(markup) > INLINE_CHARACTERS_MAX:
            text = _EMPHASIS.sub("", _TAG.sub("", _LINK.sub(r"\1", markup)))
        else:
            tokens: list[Token] = []
            self._parser.inline.parse(markup, self._parser, self._environment, tokens)
            text = "".join(map(_inline_text, tokens))
        return squeezed_lines(self._joiner.join(text).replace(_LINE_BREAK, "\n"))


def _cells(line: str) -> list[str]:
    """The cells of a row; the library's tokens have no more of them than the header has."""
    cells = escapedSplit(_QUOTE.sub("", line, count=1).strip())
    return cells[not cells[0] : len(cells) - (not cells[-1])]


def html_as_text(markup: str) -> str:
    """The words of a block of HTML inside Markdown, which may be any part of a page."""
    from lxml import etree

    # A parser of the whole page would leave a stray `</div>` out; here only the words count.
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, no_network=True)
    root = etree.fromstring(f"<body>{_TAG_BREAK.sub(lambda tag: chr(10) + tag[0], markup)}".encode(), parser)
    if root is None:
        return ""
    etree.strip_elements(root, "script", "style", with_tail=False)
    return squeezed_lines("".join(str(text) for text in root.itertext()))


def _inline_text(token: Token) -> str:
    match token.type:
        case "softbreak":
            return "\n"
        case "hardbreak":
            return _LINE_BREAK
        case "html_inline":
            return _LINE_BREAK if _TAG_BREAK.match(token.content) else ""
        case "image":
            return "".join(map(_inline_text, token.children or ()))
        case _:
            return token.content


def _front_matter(text: str) -> tuple[dict[str, str], str]:
    """The `key: value` lines between two `---` at the top of a file, and the text after them."""
    lines = text.split("\n", FRONT_MATTER_LINES_MAX)
    if lines[0].strip() == "---":
        for number, line in enumerate(lines[1:FRONT_MATTER_LINES_MAX], start=1):
            if line.strip() in {"---", "..."}:
                pairs = (line.partition(":") for line in lines[1:number])
                values = {key.strip().lower(): value.strip().strip("\"'") for key, _, value in pairs}
                return values, "\n".join(lines[number + 1 :])
    return {}, text
