"""From one page to the next, and what tells that the data changed in between."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from connectors.errors import LimitExceeded, SourceError
from connectors.json_rows import Layout, Page
from connectors.rest.options import Paging
from connectors.web import Asking, Question, Reply

NONE = Paging(kind="none")


class Pager:
    """The pages of one question. `most` rows are wanted at most, which a page may be asked to be no longer than;
    `spared`, `unread`: see `Page.columns`."""

    def __init__(
        self,
        asking: Asking,
        layout: Layout,
        paging: Paging | None,
        key: Sequence[str],
        *,
        missing_ok: bool,
        spared: Collection[str] = (),
        unread: Collection[str] = (),
    ) -> None:
        self._asking, self._layout, self._paging, self._missing_ok = asking, layout, paging or NONE, missing_ok
        self._key, self._before = key, set[tuple[object, ...]]()
        self._spared, self._unread = spared, unread
        self._seen: set[str] = set()
        self._total: str | None = None

    def pages(self, question: Question, most: int | None = None) -> Iterator[tuple[Page, dict[str, pa.Array]]]:
        """Page after page with its columns, as they are taken; LimitExceeded past the owner's number of them."""
        at, size, full = 0, self._size(most), False
        following: Question | None = self._first(question, size)
        for number in range(self._asking.web.options.pages):
            if following is None:
                return
            reply = self._asking.ask(following)
            if reply.status == 404:
                self._missing(number)
                return
            page = self._layout.read(reply.body)
            columns = page.columns(self._spared, self._unread)
            self._check(page.extras, columns)
            yield page, columns
            at, count = at + len(page.rows), len(page.rows)
            full = full or count == size
            following = self._next(question, reply, page, (number, at, count, size, full))
        raise LimitExceeded(
            f'a request of source "{self._asking.web.name}" has more than {self._asking.web.options.pages:,} pages',
            hint="filter so that fewer rows are needed; the limit is connection: pages: in the source's file",
        )

    def _missing(self, number: int) -> None:
        if not self._missing_ok and number == 0:
            raise SourceError(
                "the service has nothing at this path (404)",
                sqlstate="HV00R",
                hint="check path: of the table; where 404 means that there are no rows, say not_found: empty",
            )

    def _size(self, most: int | None) -> int | None:
        size = self._paging.size
        return size if size is None or most is None or not self._paging.size_parameter else max(min(size, most), 1)

    def _first(self, question: Question, size: int | None) -> Question:
        one = self._paging
        params: list[tuple[str, str]] = []
        if size is not None and one.size_parameter:
            params.append((one.size_parameter, str(size)))
        if one.kind == "offset" and one.parameter:
            params.append((one.parameter, "0"))
        if one.kind == "page" and one.parameter:
            params.append((one.parameter, str(1 if one.first is None else one.first)))
        return replace(question, params=(*question.params, *params))

    def _next(
        self, question: Question, reply: Reply, page: Page, where: tuple[int, int, int, int | None, bool]
    ) -> Question | None:
        number, at, count, size, full = where
        one = self._paging
        if one.kind in ("offset", "page"):
            if self._ended(at, count, size, full):
                return None
            first = 1 if one.first is None else one.first
            value = str(at) if one.kind == "offset" else str(first + number + 1)
            return self._with(question, size, value)
        found = reply.next if one.kind == "link" else page.extras.get("next")
        if one.kind == "none" or not found:
            return None
        self._once(found)
        if one.kind == "cursor":
            return self._with(question, size, found)
        here = self._asking.web.url(question.path)
        return Question(str(here.join(found)), headers=question.headers)  # as a browser understands a relative address

    def _ended(self, at: int, count: int, size: int | None, full: bool) -> bool:
        """A page shorter than was asked is the last, once a full one has shown that the service gives so many."""
        if self._total is not None and self._total.isdigit():
            return not count or at >= int(self._total)
        return not count or (full and size is not None and count < size)

    def _with(self, question: Question, size: int | None, value: str) -> Question:
        one = self._paging
        sized = ((one.size_parameter, str(size)),) if size is not None and one.size_parameter else ()
        return replace(question, params=(*question.params, *sized, (one.parameter or "", value)))

    def _once(self, found: str) -> None:
        """A cursor or address that comes again would lead round for ever."""
        if found in self._seen:
            raise SourceError("the service names the same next page twice: its pages have no end")
        self._seen.add(found)

    def _check(self, extras: Mapping[str, str | None], columns: Mapping[str, pa.Array]) -> None:
        """SourceError 40001 where the number of rows changes, or a row of the page before comes again."""
        if self._key and self._paging.kind != "none":
            now = {*zip(*(columns[name].to_pylist() for name in self._key), strict=True)}
            now = {row for row in now if None not in row}  # a key that does not fit tells nothing
            if not self._before.isdisjoint(now):
                raise changed()
            self._before = now
        total = extras.get("total")
        if self._total is not None and total != self._total:
            raise changed()
        self._total = total


def changed() -> SourceError:
    """The error for rows that were moved between pages while these were read."""
    return SourceError(
        "the data changed while its pages were read, so that rows may be missing or come twice",
        sqlstate="40001",
        hint="ask again; paging by cursor, where the service has it, does not suffer from this",
    )
