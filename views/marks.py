"""YAML with the place of every key. YAML 1.2's scalars (`on`, `no` and `12:30` are text); no anchors, no tags."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from views.project import KeyPath

MAX_BYTES = 512 * 1024
MAX_DEPTH = 40
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}


class Fault(Exception):
    """Text that is not the YAML we accept: `line` and `column` count from 1."""

    def __init__(self, line: int, column: int, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.line, self.column, self.message, self.remedy = line, column, message, remedy


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar as it stands in the file: `raw`, quotes and indentation included, from `line` and `column` on."""

    line: int
    column: int
    raw: str

    def at(self, value: str, offset: int) -> tuple[int, int]:
        """Line and column of character `offset` of the value that YAML makes of it. Folding and escapes change
        little but white space, so the characters are found again one after another."""
        found = max(self.raw.find("\n"), 0) if self.raw[:1] in ("|", ">") else 0  # behind the block's own mark
        for index, character in enumerate(value[: offset + 1]):
            if not character.isspace():
                at = self.raw.find(character, found)
                found = at + (index < offset) if at >= 0 else found
        above = self.raw[:found]
        line = self.line + above.count("\n")
        return line, found - above.rfind("\n") if "\n" in above else self.column + found


@dataclass(slots=True)
class Marked:
    """A document: its `value` in plain Python, and the place (line, column) of every key and item by path; `written`
    has its texts as they stand there."""

    value: Any = None
    places: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    written: dict[KeyPath, Scalar] = field(default_factory=dict)


class _Composer(yaml.SafeLoader):
    """Composes nodes; refuses aliases (a few lines of them expand to gigabytes) and absurd depth."""

    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _fault(
                event, "anchors and aliases (& and *) are not accepted", "write the value out, or quote the text"
            )
        if getattr(event, "tag", None):
            raise _fault(event, "tags (!) are not accepted", "quote the text")
        if self.depth > MAX_DEPTH:
            raise _fault(event, "nested too deeply")
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def read(text: str, first_line: int = 1) -> Marked:
    """The document of a YAML text whose first line is the file's line `first_line`; Fault where there is none."""
    if len(text) > MAX_BYTES:
        raise Fault(first_line, 0, f"larger than {MAX_BYTES // 1024} kB")
    marked = Marked()
    try:
        node = _compose(text)
        if node is not None:
            marked.places[()] = _place(node)
            marked.value = _value(node, (), marked)
    except Fault as fault:
        fault.line += first_line - 1
        raise
    below = first_line - 1
    marked.places = {path: (line + below, column) for path, (line, column) in marked.places.items()}
    marked.written = {path: replace(one, line=one.line + below) for path, one in marked.written.items()}
    return marked


def _compose(text: str) -> Node | None:
    try:
        loader = _Composer(text)
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 0)
        problem = error.problem or error.context or "cannot be read"
        raise Fault(line, column, f"malformed YAML: {problem}", _remedy(problem)) from None
    except yaml.reader.ReaderError as error:
        raise _unprintable(text, error) from None
    except (ValueError, OverflowError):  # "\UFFFFFFFF" in quotes: PyYAML passes it to chr()
        line = text[: text.find("\\U")].count("\n") + 1
        raise Fault(line, 0, "malformed YAML: an escape names no character", "correct the \\U escape") from None


def _unprintable(text: str, error: yaml.reader.ReaderError) -> Fault:
    before = text[: error.position]
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    return Fault(
        line, column, f"malformed YAML: character {ord(text[error.position]):#06x} is not allowed", "remove it"
    )


def _remedy(problem: str) -> str:
    if "\\t" in problem:
        return "indent with spaces, not with tabs"
    if "mapping values are not allowed" in problem:
        return "quote a text that holds `: `, and check the indentation"
    if "expected <block end>" in problem or "could not find expected ':'" in problem:
        return "check the indentation, and that each key ends in a colon"
    return "quote text that holds special characters, and check the indentation"


def _value(node: Node, path: KeyPath, marked: Marked) -> Any:
    if isinstance(node, MappingNode):
        return _mapping(node, path, marked)
    if isinstance(node, SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            marked.places[(*path, index)] = _place(item)
            items.append(_value(item, (*path, index), marked))
        return items
    start, end = node.start_mark, node.end_mark
    raw = str(start.buffer or "")[start.pointer : end.pointer].rstrip("\0")
    marked.written[path] = Scalar(start.line + 1, start.column + 1, raw)
    return _scalar(node)


def _mapping(node: MappingNode, path: KeyPath, marked: Marked) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    places = marked.places
    for key, item in node.value:
        if not isinstance(key, ScalarNode):
            raise Fault(*_place(key), "a key must be plain text", "quote the text if it holds { or [")
        name = str(key.value)
        if name in mapping:
            raise Fault(
                *_place(key), f"key `{name}` stands twice (first in line {places[(*path, name)][0]})", "keep one"
            )
        places[(*path, name)] = _place(key)
        mapping[name] = _value(item, (*path, name), marked)
    return mapping


def _scalar(node: Node) -> Any:
    text = str(node.value)
    if getattr(node, "style", None) is not None:  # quoted, or a block: text
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _fault(event: Any, message: str, remedy: str = "") -> Fault:
    return Fault(event.start_mark.line + 1, event.start_mark.column + 1, message, remedy)
