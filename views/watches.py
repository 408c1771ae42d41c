"""Checks of watches: what they name must exist. Columns are known once the canon has read the queries."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from views.files import User
from views.notifier_file import Notifier
from views.project import Diagnostic, KeyPath, Places, Project, Written, place_of
from views.templates import placeholders
from views.text import Refused, expression_columns, read
from views.validate import did_you_mean
from views.watch_file import WatchFile

QUERY: KeyPath = ("query",)
CONDITION = "vdw_to_"  # columns of the conditions of recipients


def file_of(name: str) -> str:
    """The file of a watch."""
    return f"watches/{name}.yml"


def statement(watch: WatchFile) -> str:
    """What is asked: the query, with a column for each condition of a recipient."""
    conditions = [f"(\n{to.when}\n) IS TRUE AS {CONDITION}{i}" for i, to in enumerate(watch.to) if to.when is not None]
    if not conditions:
        return watch.query
    return f"SELECT w.*, {', '.join(conditions)} FROM (\n{_bare(watch.query)}\n) AS w"  # noqa: S608 -- both are parsed


def written(name: str, watch: WatchFile, places: Places) -> Iterator[Written]:
    """The statements of a watch, for the canon to check: the query, and each condition over it."""
    what = f'watch "{name}"'
    yield Written.at(what, file_of(name), QUERY, watch.query, places)
    for i, to in enumerate(watch.to):
        if to.when is not None and expression_columns(to.when) is not None:
            path: KeyPath = ("to", i, "when")
            line, _ = place_of(places, path)
            sql = f"SELECT (\n{to.when}\n) IS TRUE AS holds FROM (\n{_bare(watch.query)}\n) AS w"  # noqa: S608
            yield Written(what, file_of(name), path, line - 1, sql, after=QUERY)


def _bare(query: str) -> str:
    return query.rstrip().rstrip(";")


def watch_diagnostics(project: Project, watches: Mapping[str, WatchFile]) -> tuple[Diagnostic, ...]:
    """What the files alone tell is wrong with the watches."""
    found: list[Diagnostic] = []
    for name, watch in watches.items():
        checked = _Checked(name, watch, project.places.get(file_of(name), {}))
        found += checked.query()
        found += checked.user(project.file.users)
        for i, to in enumerate(watch.to):
            found += checked.notifier(i, to.notifier, project.file.notifiers)
    return tuple(found)


def column_diagnostics(
    project: Project, columns: Mapping[str, Sequence[str]], reads: Mapping[str, Collection[tuple[str, str]]]
) -> tuple[Diagnostic, ...]:
    """The same once the columns of each watch's query are known, and what it reads."""
    found: list[Diagnostic] = []
    for name, watch in project.watches.items():
        if name in columns:
            checked = _Checked(name, watch, project.places.get(file_of(name), {}))
            found += checked.columns(columns[name])
            found += checked.rights(project.file.users, reads.get(name, ()))
    return tuple(found)


class _Checked:
    def __init__(self, name: str, watch: WatchFile, places: Places) -> None:
        self._name, self._watch, self._places = name, watch, places

    def _error(self, path: KeyPath, message: str, remedy: str, severity: str = "error") -> Diagnostic:
        line, column = place_of(self._places, path)
        kind = "error" if severity == "error" else "warning"
        return Diagnostic(kind, file_of(self._name), line, f'watch "{self._name}": {message}', remedy, column)  # type: ignore[arg-type]

    def query(self) -> Iterator[Diagnostic]:
        try:
            read(self._watch.query)
        except Refused as refused:
            yield self._error(QUERY, refused.message.replace("a view", "a watch"), refused.remedy)
        for i, to in enumerate(self._watch.to):
            if to.when is not None and expression_columns(to.when) is None:
                yield self._error(("to", i, "when"), "`when` is not a SQL condition", "write as in WHERE")

    def user(self, users: Mapping[str, User]) -> Iterator[Diagnostic]:
        user = self._watch.user
        if user is None and users:
            yield self._error((), "`user` is missing: there are users", f"add user: one of {', '.join(users)}")
        elif user is not None and user not in users:
            yield self._error(("user",), f'there is no user "{user}" in vdw.yml', did_you_mean(user, users))

    def notifier(self, i: int, name: str, notifiers: Mapping[str, Notifier]) -> Iterator[Diagnostic]:
        to, path = self._watch.to[i], ("to", i)
        if name not in notifiers:
            remedy = did_you_mean(name, notifiers)
            yield self._error((*path, "notifier"), f'there is no notifier "{name}" in vdw.yml', remedy)
        elif notifiers[name].kind != "webhook" and not to.address:
            remedy = 'add address: "{column}"'
            yield self._error(path, f'notifier "{name}" ({notifiers[name].kind}) needs an `address`', remedy)
        elif notifiers[name].kind == "smtp" and not placeholders(to.address) and "@" not in to.address:
            remedy = f'write "{{{to.address}}}" for the column of that name'
            yield self._error((*path, "address"), f'"{to.address}" is no e-mail address', remedy)

    def columns(self, known: Sequence[str]) -> Iterator[Diagnostic]:
        for i, column in enumerate(self._watch.key):
            if column not in known:
                yield self._error(("key", i), f'the query has no column "{column}"', did_you_mean(column, known))
        for path, text in self._texts():
            for column in placeholders(text):
                if column not in known:
                    message = f'the query has no column "{column}" for {{{column}}}'
                    yield self._error(path, message, did_you_mean(column, known))
        for column in {column for column in known if known.count(column) > 1 or column.startswith(CONDITION)}:
            yield self._error(QUERY, f'the column "{column}" stands twice or is reserved', "name it with AS")

    def _texts(self) -> Iterator[tuple[KeyPath, str]]:
        for name, message in (("alert", self._watch.alert), ("cleared", self._watch.cleared)):
            if message is not None:
                yield (name, "subject"), message.subject
                yield (name, "text"), message.text
        for i, to in enumerate(self._watch.to):
            yield ("to", i, "address"), to.address

    def rights(self, users: Mapping[str, User], reads: Collection[tuple[str, str]]) -> Iterator[Diagnostic]:
        user = users.get(self._watch.user or "")
        if user is None or user.admin:
            return
        for schema, name in sorted(reads):
            if schema != "vdw" and {"*", f"{schema}.*", f"{schema}.{name}"}.isdisjoint(user.reads):
                message = f'user "{self._watch.user}" may not read {schema}.{name}'
                yield self._error(("user",), message, "add it to the user's `reads` in vdw.yml, or name another user")
