"""Rows of an XML file: the root's children are records, their attributes and children the values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import Locator

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import create_parser

from api.uploads.describe import Description
from api.uploads.formats import CHUNK, LONGEST_RECORD, Picker, Values, malformed

Mark = tuple[int, int]


class Xml:
    """No DTD, no entities but XML's own five, nothing fetched."""

    def __init__(self, stream: IO[bytes], description: Description) -> None:
        self._stream, self._picker = stream, Picker(description)
        self._names = [a.called for a in description.kept]

    def records(self) -> Iterator[tuple[Mark, Values]]:
        """Marked by line and column of the record's start tag."""
        parser = create_parser(forbid_dtd=True, forbid_entities=True, forbid_external=True)
        handler = _Records(parser)
        parser.setContentHandler(handler)
        try:
            parser.feed(b"")  # so that an empty file is told as one that ends too soon
            while data := self._stream.read(CHUNK):
                parser.feed(data)
                yield from self._taken(handler)
            parser.close()
        except DefusedXmlException:
            raise malformed("a DOCTYPE or an entity stands in the file, and neither is read", handler.here) from None
        except SAXParseException as error:
            place = f"line {error.getLineNumber()}, column {(error.getColumnNumber() or 0) + 1}"
            raise malformed(f"this is no XML: {error.getMessage()}", place) from None
        except (LookupError, UnicodeError, ValueError) as error:  # an encoding that there is not
            raise malformed(f"this is no XML: {error}", handler.here) from None
        yield from self._taken(handler)

    def _taken(self, handler: _Records) -> Iterator[tuple[Mark, Values]]:
        found, handler.found = handler.found, []
        for mark, record in found:
            yield mark, self._picker.take(record, _at(mark))

    def place(self, mark: Any, attribute: int) -> str:
        """Of the record, and the value's name."""
        return f'{_at(mark)}, "{self._names[attribute]}"'


class _Records(ContentHandler):
    """Gathers the records of what is fed."""

    def __init__(self, locator: Locator) -> None:
        super().__init__()
        self._where = locator
        self.found: list[tuple[Mark, dict[str, str]]] = []
        self._depth = 0
        self._record: dict[str, str] = {}
        self._mark: Mark = (1, 1)
        self._text: list[str] = []
        self._size = 0

    @property
    def here(self) -> str:
        """Where the parser is."""
        return _at(self._now())

    def _now(self) -> Mark:
        return self._where.getLineNumber() or 1, (self._where.getColumnNumber() or 0) + 1

    def startElement(self, name: str, attrs: Any) -> None:
        """A record, or a value of one."""
        self._depth += 1
        if self._depth == 2:
            self._record, self._mark, self._size = {}, self._now(), 0
        elif self._depth > 3:
            raise malformed(f"<{name[:60]}> stands inside a value: a record's elements hold text alone", self.here)
        self._text = []
        for key, value in attrs.items() if self._depth == 2 else ():
            self._put(key, value)
        if self._depth == 3 and attrs.get("nil", attrs.get("xsi:nil")) in ("true", "1"):
            self._text = [""]

    def characters(self, content: str) -> None:
        """Text of a value; elsewhere there may be none but blanks."""
        self._size += len(content)
        if self._size > LONGEST_RECORD:
            raise malformed(f"the record is longer than {LONGEST_RECORD:,} characters", self.here)
        if self._depth == 3:
            self._text.append(content)
        elif content.strip():
            raise malformed("text stands outside of a record's elements", self.here)

    def endElement(self, name: str) -> None:
        """The end of a value, a record, or all."""
        if self._depth == 3:
            self._put(name, "".join(self._text))
        elif self._depth == 2:
            self.found.append((self._mark, self._record))
            self._size = 0
        self._depth -= 1

    def _put(self, name: str, value: str) -> None:
        if name in self._record:
            raise malformed(f'"{name[:60]}" stands twice in one record', self.here)
        self._record[name] = value


def _at(mark: Mark) -> str:
    return f"line {mark[0]}, column {mark[1]}"
