"""Every road to a SELECT in a client's text: where the query stands in it, and what is to be done with its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from federation.canon.lex import Token, words

QUERIES = frozenset({"select", "values", "table", "with", "("})
_VERBS = frozenset({"select", "insert", "update", "delete", "merge", "values", "table"})


@dataclass(frozen=True, slots=True)
class Road:
    """One statement: `text[start:end]` is its query, `head` and `tail` are what stands before and behind it.

    `kind`: select | create | insert | view | declare | explain | prepare | execute | copy | fetch | close | other.
    `name` is the cursor, view or prepared statement; `columns` a list of names that goes with it; `options` are
    COPY's or EXPLAIN's, the direction of FETCH, or the arguments of EXECUTE.
    """

    kind: str
    start: int = 0
    end: int = 0
    head: str = ""
    tail: str = ""
    name: str = ""
    columns: tuple[str, ...] = ()
    options: dict[str, str | list[str]] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    arguments: tuple[str, ...] = ()
    query: str = ""

    @property
    def rows(self) -> bool:
        """Whether it is about the query's rows at all."""
        return bool(self.query)


def road(text: str, standard: bool = True) -> Road:
    """What the statement is."""
    tokens = list(words(text, standard))
    if not tokens:
        return Road("other")
    return _Statement(text, tokens).road()


class _Statement:
    """A statement's tokens, with their nesting."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text, self.tokens = text, tokens
        self.words = [token.text.lower() if token.kind == "word" else token.text for token in tokens]
        self.depths: list[int] = []
        depth = 0
        for word in self.words:
            depth -= word in (")", "]")
            self.depths.append(depth)
            depth += word in ("(", "[")

    def road(self) -> Road:
        first = self.words[0]
        if first in QUERIES:
            return self._query() or Road("other")
        readers: dict[str, Callable[[], Road | None]] = {
            "insert": self._insert,
            "create": self._create,
            "declare": self._declare,
            "explain": self._explain,
            "prepare": self._prepare,
            "execute": self._execute,
            "copy": self._copy,
            "fetch": self._fetch,
            "move": self._fetch,
            "close": self._close,
        }
        reader = readers.get(first)
        found = reader() if reader is not None else None
        return found or Road("other")

    # -- places -------------------------------------------------------------------------------------------------

    def find(self, *wanted: str, start: int = 0, depth: int = 0) -> int:
        """The first of those words at that depth; -1 where there is none."""
        for place in range(start, len(self.words)):
            if self.depths[place] == depth and self.words[place] in wanted and self._keyword(place):
                return place
        return -1

    def _keyword(self, place: int) -> bool:
        """Not a label (AS x) nor a part of a name (a.x)."""
        return place == 0 or self.words[place - 1] not in (".", "as") or self.words[place] in ("select", "(", "values")

    def closing(self, place: int) -> int:
        """The parenthesis that closes the one at `place`."""
        for there in range(place + 1, len(self.words)):
            if self.depths[there] == self.depths[place] and self.words[there] in (")", "]"):
                return there
        return len(self.words) - 1

    def cut(self, first: int, last: int) -> str:
        """The text of the tokens from `first` up to, without, `last`."""
        if first >= last or first >= len(self.tokens):
            return ""
        return self.text[self.tokens[first].start : self.tokens[last - 1].end]

    def name(self, place: int) -> tuple[str, int]:
        """The identifier at `place` as PostgreSQL stores it, qualified names by their last part; what follows it."""
        while place + 2 < len(self.words) and self.words[place + 1] == ".":
            place += 2
        return (identifier(self.tokens[place]) if place < len(self.tokens) else ""), place + 1

    def listed(self, place: int) -> tuple[tuple[str, ...], int]:
        """The names in a parenthesised list at `place`, if there is one; what follows it."""
        if place >= len(self.words) or self.words[place] != "(":
            return (), place
        end = self.closing(place)
        names = tuple(identifier(token) for token in self.tokens[place + 1 : end] if token.kind in ("word", "quoted"))
        return names, end + 1

    def made(self, kind: str, first: int, last: int | None = None, **more: object) -> Road | None:
        """A road whose query is the tokens from `first` up to `last`."""
        last = len(self.tokens) if last is None else last
        if first < 0 or first >= last:
            return None
        start, end = self.tokens[first].start, self.tokens[last - 1].end
        head = str(more.pop("head", self.text[:start]))
        return Road(kind, start, end, head, self.text[end:], query=self.text[start:end], **more)  # type: ignore[arg-type]

    # -- statements ---------------------------------------------------------------------------------------------

    def _query(self) -> Road | None:
        verb = self._verb()
        if self.words[verb] == "insert":
            return self._insert(verb)
        if self.words[verb] in ("update", "delete", "merge"):
            return None
        into = self.find("into", start=verb)
        return self._into(into) if into > 0 else self.made("select", 0)

    def _verb(self) -> int:
        """The word that says what the statement does, behind its WITH."""
        if self.words[0] != "with":
            return 0
        for place in range(1, len(self.words)):
            named = self.words[place - 1] in ("with", "recursive", ",")
            if self.depths[place] == 0 and not named and self.words[place] in (*_VERBS, "("):
                if self.words[place] == "(" and self.words[place - 1] in ("as", "materialized", *self._names(place)):
                    continue
                return place
        return 0

    def _names(self, place: int) -> tuple[str, ...]:
        """The word before a list of columns: the name of a common table expression."""
        before = self.words[place - 2] if place > 1 else ""
        return (self.words[place - 1],) if before in ("with", "recursive", ",") else ()

    def _into(self, place: int) -> Road | None:
        """SELECT ... INTO [TEMP] [TABLE] name ...: CREATE TABLE AS in other words."""
        after, kinds = place + 1, []
        while self.words[after : after + 1] and self.words[after] in (
            "temp",
            "temporary",
            "local",
            "global",
            "unlogged",
        ):
            kinds.append(self.words[after])
            after += 1
        if self.words[after : after + 1] == ["table"]:
            after += 1
        _, end = self.name(after)
        head = f"CREATE {' '.join(kinds)} TABLE {self.cut(after, end)} AS "
        rest = self.text[self.tokens[end - 1].end :]
        # The query keeps its length, so that positions stay right.
        start = self.tokens[place].start
        gap = " " * (self.tokens[end - 1].end - start)
        return Road("create", 0, len(self.text), head, "", query=self.text[:start] + gap + rest)

    def _insert(self, verb: int = 0) -> Road | None:
        _, place = self.name(verb + 2)
        if self.words[place : place + 1] == ["as"]:
            place += 2
        if self.words[place : place + 1] == ["("] and self.words[place + 1] not in ("select", "with", "values", "("):
            place = self.closing(place) + 1
        if self.words[place : place + 1] == ["overriding"]:
            place += 3
        end = self._tail(place)
        if self.words[place : place + 1] == ["default"]:
            return None
        made = self.made("insert", place, end)
        if made is None or not verb:
            return made
        # WITH x AS (...) INSERT INTO t SELECT ...: the query may read x.
        before = self.cut(0, verb)
        head = self.text[self.tokens[verb].start : made.start]
        return Road("insert", made.start, made.end, head, made.tail, query=f"{before} {made.query}")

    def _tail(self, place: int) -> int:
        """Where ON CONFLICT or RETURNING starts."""
        for there in range(place, len(self.words)):
            if self.depths[there] == 0 and (
                self.words[there] == "returning"
                or (self.words[there] == "on" and self.words[there + 1 : there + 2] == ["conflict"])
            ):
                return there
        return len(self.words)

    def _create(self) -> Road | None:
        place = 1
        flags = set()
        while place < len(self.words) and self.words[place] not in ("table", "view"):
            flags.add(self.words[place])
            place += 1
        if place >= min(len(self.words), 7) or "materialized" in flags:
            return None
        what = self.words[place]
        if self.words[place + 1 : place + 4] == ["if", "not", "exists"]:
            place += 3
        name, after = self.name(place + 1)
        columns, after = self.listed(after)
        body = self._as(after)
        if body < 0:
            return None
        if what == "view":
            return self.made("view", body, name=name, columns=columns, flags=frozenset(flags))
        return self.made("create", body, self._with_data(), name=name, columns=columns, flags=frozenset(flags))

    def _as(self, start: int) -> int:
        """Where the query behind AS starts."""
        for place in range(start, len(self.words) - 1):
            if self.depths[place] == 0 and self.words[place] == "as":
                return place + 1 if self.words[place + 1] in QUERIES else -1
        return -1

    def _with_data(self) -> int:
        end = len(self.words)
        if self.words[-3:] == ["with", "no", "data"]:
            return end - 3
        return end - 2 if self.words[-2:] == ["with", "data"] else end

    def _declare(self) -> Road | None:
        cursor = self.find("cursor")
        body = self.find("for", start=max(cursor, 0))
        if cursor < 0 or body < 0:
            return None
        flags = set(self.words[2:cursor])
        if self.words[cursor + 1 : cursor + 3] == ["with", "hold"]:
            flags.add("hold")
        if self.words[cursor - 2 : cursor] == ["no", "scroll"]:
            flags -= {"scroll"}
        return self.made("declare", body + 1, name=self.name(1)[0], flags=frozenset(flags))

    def _explain(self) -> Road | None:
        place, options = 1, {}
        if self.words[1:2] == ["("] and self.words[2:3] not in (["select"], ["with"], ["("], ["values"], ["table"]):
            end = self.closing(1)
            options = self._options(2, end)
            place = end + 1
        else:
            while self.words[place : place + 1] and self.words[place] in ("analyze", "analyse", "verbose"):
                options[self.words[place].replace("analyse", "analyze")] = "true"
                place += 1
        if place >= len(self.tokens):
            return None
        start = self.tokens[place].start
        inner = road(self.text[start:])
        if not inner.rows:
            return None
        return Road(
            "explain", start + inner.start, start + inner.end, self.text[: start + inner.start], "",
            options=dict(options), query=inner.query,
        )  # fmt: skip

    def _options(self, first: int, last: int) -> dict[str, str | list[str]]:
        """Options in parentheses: name [value] ..."""
        found: dict[str, str | list[str]] = {}
        place = first
        while place < last:
            name, place = self.words[place], place + 1
            value: str | list[str] = ""
            if place < last and self.words[place] == "(":
                end = self.closing(place)
                value = list(self.listed(place)[0])
                value = "*" if self.words[place + 1 : end] == ["*"] else value
                place = end + 1
            elif place < last and self.words[place] != ",":
                value, place = self._value(place)
            found[name] = value
            place += place < last and self.words[place] == ","
        return found

    def _value(self, place: int) -> tuple[str, int]:
        token = self.tokens[place]
        if token.kind == "string":
            return literal(token.text), place + 1
        return identifier(token), place + 1

    def _prepare(self) -> Road | None:
        name, place = self.name(1)
        _, place = self.listed(place)
        if self.words[place : place + 1] != ["as"] or place + 1 >= len(self.tokens):
            return None
        start = self.tokens[place + 1].start
        inner = road(self.text[start:])
        return Road("prepare", start, len(self.text), name=name, query=self.text[start:] if inner.rows else "")

    def _execute(self) -> Road:
        name, place = self.name(1)
        found: list[str] = []
        if self.words[place : place + 1] == ["("]:
            end, first = self.closing(place), place + 1
            for there in range(first, end + 1):
                if there == end or (self.words[there] == "," and self.depths[there] == 1):
                    found.append(self.cut(first, there))
                    first = there + 1
        return Road("execute", name=name, arguments=tuple(found))

    def _copy(self) -> Road | None:
        if self.words[1:2] != ["("]:
            return None
        end = self.closing(1)
        if self.words[end + 1 : end + 3] != ["to", "stdout"]:
            return None
        place = end + 3
        place += self.words[place : place + 1] == ["with"]
        if self.words[place : place + 1] == ["("]:
            options = self._options(place + 1, self.closing(place))
        else:
            options = self._old_options(place)
        return self.made("copy", 2, end, options=options)

    def _old_options(self, place: int) -> dict[str, str | list[str]]:
        """COPY's options as they were written before PostgreSQL 9: CSV HEADER DELIMITER AS ';' FORCE QUOTE a, b."""
        found: dict[str, str | list[str]] = {}
        while place < len(self.words):
            word, place = self.words[place], place + 1
            if word in ("csv", "binary"):
                found["format"] = word
            elif word == "header":
                found["header"] = "true"
            elif word in ("delimiter", "delimiters", "null", "quote", "escape", "encoding"):
                place += self.words[place : place + 1] == ["as"]
                if place < len(self.tokens):
                    found[word.rstrip("s")], place = self._value(place)
            elif word == "force" and self.words[place : place + 1] == ["quote"]:
                found["force_quote"], place = self._forced(place + 1)
        return found

    def _forced(self, place: int) -> tuple[str | list[str], int]:
        if self.words[place : place + 1] == ["*"]:
            return "*", place + 1
        names: list[str] = []
        while place < len(self.tokens):
            names.append(identifier(self.tokens[place]))
            place += 1
            if self.words[place : place + 1] != [","]:
                break
            place += 1
        return names, place

    def _fetch(self) -> Road | None:
        name = identifier(self.tokens[-1])
        direction = self.words[1:-1]
        if direction and direction[-1] in ("from", "in"):
            direction = direction[:-1]
        return Road("fetch", name=name, arguments=tuple(direction), flags=frozenset({self.words[0]}))

    def _close(self) -> Road:
        return Road("close", name=identifier(self.tokens[-1]))


def identifier(token: Token) -> str:
    """A name as PostgreSQL stores it: quoted as it is, else in lower case."""
    text = token.text
    if token.kind == "quoted" and text[0] == '"':
        return text[1:-1].replace('""', '"')
    return literal(text) if token.kind == "string" else text.lower()


def literal(text: str) -> str:
    """The value of a string constant: '...' or E'...'."""
    if text[0] in "eE":
        body = text[2:-1].replace("''", "'")
        return body.encode("latin-1", "backslashreplace").decode("unicode_escape")
    return text[1:-1].replace("''", "'")


def expanded(text: str, views: Sequence[tuple[str, tuple[str, ...], str]], standard: bool = True) -> str:
    """The query with temporary views over virtual ones put before it, as common table expressions of their names."""
    tokens = list(words(text, standard))
    known = {name for name, _, _ in views}
    pieces, at = [], 0
    for place, token in enumerate(tokens[:-2]):
        dotted = tokens[place + 1].text == "." and identifier(tokens[place + 2]) in known
        if token.kind in ("word", "quoted") and identifier(token) == "pg_temp" and dotted:
            pieces.append(text[at : token.start])
            at = tokens[place + 2].start
    body = "".join(pieces) + text[at:]
    made = ", ".join(
        _quoted(name) + (f"({', '.join(map(_quoted, columns))})" if columns else "") + f" AS ({query})"
        for name, columns, query in views
    )
    first = next(words(body, standard))
    if first.text.lower() != "with":
        return f"WITH {made} {body}"
    second = list(words(body, standard))[1]
    recursive = second.text.lower() == "recursive"
    rest = body[(second if recursive else first).end :]
    return f"WITH {'RECURSIVE ' if recursive else ''}{made}, {rest}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
