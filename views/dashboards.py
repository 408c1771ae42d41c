"""Reads dashboards/<name>.yml. A panel at fault stands aside with its diagnostics; the rest of the page is served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from connectors.types import PgType
from views import marks, text
from views.dashboard_file import DashboardFile, Link, Panel, Parameter
from views.named import Named, named
from views.project import Diagnostic, KeyPath, Places, Written, place_of
from views.validate import did_you_mean, validate


@dataclass(frozen=True, slots=True)
class Statement:
    """One SELECT of a dashboard: `types` are PostgreSQL's of the parameters that it uses."""

    named: Named
    types: Mapping[str, str]
    written: Written

    @property
    def kinds(self) -> tuple[PgType, ...]:
        """The types of $1, $2 ..."""
        return tuple(PgType(self.types[name]) for name in self.named.names)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A panel that can be shown; `places` leads to its keys in the file."""

    key: str
    panel: Panel
    statement: Statement
    path: KeyPath
    places: Places = field(default_factory=dict, repr=False)

    @property
    def file(self) -> str:
        """The dashboard's."""
        return self.statement.written.file

    def diagnostic(self, path: KeyPath, message: str, remedy: str = "") -> Diagnostic:
        """An error at one of its keys."""
        line, column = place_of(self.places, (*self.path, *path))
        return Diagnostic("error", self.file, line, message, remedy, column)


@dataclass(frozen=True, slots=True)
class Broken:
    """A panel that its file tells wrongly: its place on the page is kept, with what is wrong."""

    key: str
    title: str
    fault: Diagnostic


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard as read. `choices` are the SELECTs that give parameters' values."""

    name: str
    file: DashboardFile
    panels: tuple[Drawn | Broken, ...]
    choices: Mapping[str, Statement] = field(default_factory=dict)

    @property
    def drawn(self) -> tuple[Drawn, ...]:
        """The panels that can be shown."""
        return tuple(panel for panel in self.panels if isinstance(panel, Drawn))

    @property
    def statements(self) -> tuple[Written, ...]:
        """All its SELECTs."""
        return tuple(one.written for one in (*(panel.statement for panel in self.drawn), *self.choices.values()))

    def without(self, faults: Mapping[str, Diagnostic]) -> Dashboard:
        """The same with more panels (by key) at fault."""
        panels = (_broken(one, faults[one.key]) if one.key in faults else one for one in self.panels)
        return replace(self, panels=tuple(panels))


def _broken(panel: Drawn | Broken, fault: Diagnostic) -> Broken:
    return Broken(panel.key, panel.title if isinstance(panel, Broken) else panel.panel.title, fault)


def read(name: str, content: str, file: str) -> tuple[Dashboard | None, list[Diagnostic], Places]:
    """The dashboard of a file's text, what is wrong with it, and its keys' places; None where nothing can be shown."""
    try:
        marked = marks.read(content)
    except marks.Fault as fault:
        return None, [Diagnostic("error", file, fault.line, fault.message, fault.remedy, fault.column)], {}
    value = marked.value
    wrong: list[Diagnostic] = []
    panels = value.get("panels") if isinstance(value, dict) else None
    if not isinstance(panels, list) or not panels:
        _, found = validate(DashboardFile, value, file, marked.places)
        return None, list(found), marked.places
    stand_in = {"title": "-", "kind": "table", "sql": "select 1"}
    frame, found = validate(DashboardFile, {**value, "panels": [stand_in]}, file, marked.places)
    wrong += found
    reader = _Reader(file, marked.places, frame.parameters if frame is not None else {})
    made = reader.panels(panels)
    wrong += reader.wrong
    if frame is None:
        return None, wrong, marked.places
    good = [one.panel for one in made if isinstance(one, Drawn)]
    shown = frame.model_copy(update={"panels": good})
    choices = reader.choices()
    dashboard = Dashboard(name, shown, tuple(made), choices)
    return dashboard, [*wrong, *reader.chosen, *_unused(dashboard, panels, file, marked.places)], marked.places


@dataclass(slots=True)
class _Reader:
    file: str
    places: Places
    parameters: Mapping[str, Parameter]
    wrong: list[Diagnostic] = field(default_factory=list)
    chosen: list[Diagnostic] = field(default_factory=list)

    def panels(self, values: list[object]) -> list[Drawn | Broken]:
        """Each panel, or what is wrong with it."""
        made: list[Drawn | Broken] = []
        keys: dict[str, int] = {}
        for at, value in enumerate(values):
            one = self._panel(value, at)
            if one.key in keys and isinstance(one, Drawn):
                message = f'panel "{one.key}" stands twice (first as panel {keys[one.key] + 1})'
                fault = one.diagnostic(("name",), message, "give it another name: or title:")
                one = replace(_broken(one, fault), key=f"{one.key}_{at + 1}")
            keys.setdefault(one.key, at)
            made.append(one)
            self.wrong += [one.fault] if isinstance(one, Broken) else []
        return made

    def _panel(self, value: object, at: int) -> Drawn | Broken:
        path: KeyPath = ("panels", at)
        inner = {key[2:]: place for key, place in self.places.items() if key[:2] == path}
        panel, found = validate(Panel, value, self.file, inner, path)
        if panel is None:
            title = value.get("title") if isinstance(value, dict) else None
            self.wrong += found[1:]
            return Broken(f"panel_{at + 1}", title if isinstance(title, str) else f"Panel {at + 1}", found[0])
        statement = self.statement(f"panel {panel.key}", panel.sql, (*path, "sql"))
        fault = statement if isinstance(statement, Diagnostic) else self._links(panel, path)
        if isinstance(fault, Diagnostic) or isinstance(statement, Diagnostic):
            return Broken(panel.key, panel.title, fault if isinstance(fault, Diagnostic) else statement)  # type: ignore[arg-type]
        return Drawn(panel.key, panel, statement, path, self.places)

    def _links(self, panel: Panel, path: KeyPath) -> Diagnostic | None:
        """A link that hands on a parameter which is not there."""
        for link in panel.link:
            for key, name in link.parameters.items():
                if name.startswith(":") and name[1:] not in self.parameters:
                    line, column = place_of(self.places, (*path, "link", "parameters", key))
                    remedy = did_you_mean(name[1:], self.parameters)
                    return Diagnostic("error", self.file, line, f"there is no parameter `{name}`", remedy, column)
        return None

    def statement(self, what: str, sql: str, path: KeyPath) -> Statement | Diagnostic:
        """A SELECT and its parameters, or what is wrong with it."""
        types = {name: parameter.type for name, parameter in self.parameters.items()}
        try:
            read = named(sql, list(types))
            text.read(read.literal(types, {}))  # a view's text has no parameters
        except text.Refused as refused:
            message = refused.message.replace("a view", "a panel").replace("the file", "`sql`")
            return Written.at(what, self.file, path, sql, self.places).diagnostic(
                message, refused.remedy, refused.offset + 1
            )
        used = {name: types[name] for name in read.names}
        return Statement(read, used, Written.at(what, self.file, path, read.positional(types), self.places))

    def choices(self) -> dict[str, Statement]:
        """The SELECTs of parameters' values; one at fault is left out, and the value is typed in."""
        found: dict[str, Statement] = {}
        for name, parameter in self.parameters.items():
            if isinstance(parameter.choices, str):
                made = self.statement(f"choices of `{name}`", parameter.choices, ("parameters", name, "choices"))
                if isinstance(made, Diagnostic):
                    self.chosen.append(made)
                else:
                    found[name] = made
        return found


def _unused(dashboard: Dashboard, panels: list[object], file: str, places: Places) -> Iterator[Diagnostic]:
    """A parameter that nothing uses, where all panels could be read."""
    used = {name for one in dashboard.drawn for name in one.statement.named.names}
    used |= {name for one in dashboard.choices.values() for name in one.named.names}
    used |= {name[1:] for one in dashboard.drawn for link in one.panel.link for name in link.parameters.values()}
    if len(dashboard.drawn) < len(panels):
        return
    for name in dashboard.file.parameters:
        if name not in used:
            line, column = place_of(places, ("parameters", name))
            yield Diagnostic("warning", file, line, f"no panel uses the parameter `:{name}`", "take it out", column)


def links(dashboards: Mapping[str, Dashboard]) -> Iterator[Diagnostic]:
    """Links that lead nowhere: warnings, as the page leaves them out."""
    for dashboard in dashboards.values():
        for one in dashboard.drawn:
            for link in one.panel.link:
                told = leads_nowhere(link, dashboards)
                if told:
                    found = one.diagnostic(("link", "dashboard"), *told)
                    yield replace(found, severity="warning")


def leads_nowhere(link: Link, dashboards: Mapping[str, Dashboard]) -> tuple[str, str] | None:
    """Why a link cannot be followed, and the remedy; None where it can."""
    target = dashboards.get(link.dashboard)
    if target is None:
        return f'there is no dashboard "{link.dashboard}"', did_you_mean(link.dashboard, dashboards)
    unknown = [name for name in link.parameters if name not in target.file.parameters]
    if unknown:
        message = f'dashboard "{link.dashboard}" has no parameter "{unknown[0]}"'
        return message, did_you_mean(unknown[0], target.file.parameters)
    return None
