"""SQL expressions of a project's files: one each, what they name, what they join, and where each character stands."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from views import marks
from views.expressions import at_instant, read, template
from views.text import Refused


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("a > 1", ["a > 1"]),
        ("a > 1 and b", ["a > 1", "b"]),
        ("a between 1 and 2 and b", ["a between 1 and 2", "b"]),
        ("a not between x and y AND b between 1 and 2", ["a not between x and y", "b between 1 and 2"]),
        ("a or b and c", ["a or b and c"]),
        ("not a and (b and c)", ["not a", "(b and c)"]),
        ("case when a and b then c end and d", ["case when a and b then c end", "d"]),
        ("a = 'x and y' and \"and\" = 1", ["a = 'x and y'", '"and" = 1']),
        ("a -- and more\n and b", ["a", "b"]),
    ],
)
def test_conditions_are_what_and_joins(text: str, conditions: list[str]) -> None:
    found = read(text).conditions
    assert [one.text for one in found] == conditions
    assert all(text[one.start :].startswith(one.text) for one in found)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a > 1", True),
        ("current_date - d > 30", True),
        ("d >= date '2026-01-01'", True),
        ("a / b > 1", False),
        ("t::int > 1", False),
        ("sqrt(a) > 1", False),
        ("a in (1, 2) or b is null", True),
    ],
)
def test_only_what_cannot_fail_is_evaluated_by_itself(text: str, safe: bool) -> None:
    assert [one.safe for one in read(text).conditions] == [safe]


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("true) or (true", 4, "closes nothing"),
        ("(a", 1, "never closed"),
        ("(a]", 2, "closes nothing"),
        ("a, b", 1, "ends the expression"),
        ("a; drop table x", 1, "ends the expression"),
        ("a in (select 1)", 6, "begins a query"),
        ("exists (values (1))", 8, "begins a query"),
        ("a = $1", 4, "no parameters"),
        ("a = 'x", 0, "cannot be read"),
        ("/* a", 0, "cannot be read"),
        ("-- nothing", 0, "no SQL expression"),
    ],
)
def test_what_is_not_one_expression_is_refused_at_its_place(text: str, offset: int, message: str) -> None:
    with pytest.raises(Refused) as refused:
        read(text)
    assert refused.value.offset == offset
    assert message in refused.value.message


def test_columns_that_an_expression_names() -> None:
    assert read("lower(A) = 'b' and \"C\" > current_date and d is null").columns == {"a", "C", "d"}


def test_templates_are_cut_at_their_braces() -> None:
    made = template("{a} of {{b}}, {c || '}'} and {d \" } \"}")
    assert made == (("a", 1), " of {b}, ", ("c || '}'", 15), " and ", ('d " } "', 30))


@pytest.mark.parametrize(("text", "offset"), [("a } b", 2), ("a {b", 2), ("{'}", 0)])
def test_braces_that_are_left_over_are_refused(text: str, offset: int) -> None:
    with pytest.raises(Refused) as refused:
        template(text)
    assert refused.value.offset == offset


def test_a_moment_stands_in_for_the_clock() -> None:
    text = "now() > x and CURRENT_DATE = d and 'now()' <> y and clock_timestamp() is not null and age(a, b) > c"
    moment = "('2026-01-01T00:00:00+00:00'::timestamptz)"
    assert at_instant(text, "2026-01-01T00:00:00+00:00") == (
        f"{moment} > x and ({moment}::date) = d and 'now()' <> y and {moment} is not null and age(a, b) > c"
    )
    with pytest.raises(Refused, match="age"):
        at_instant("age(d) > interval '1 day'", "2026-01-01")


words = st.lists(st.sampled_from(["a", "it's", '"x"', ">", "#", "5", ":", "ä", "{b}", "and"]), min_size=1, max_size=30)


@given(words, st.sampled_from(["'", '"', "|", ">", None]), st.sampled_from([20, 1000]))
def test_a_character_of_a_value_is_found_in_the_file(found: list[str], style: str | None, width: int) -> None:
    value = " ".join(found)
    written = yaml.dump({"k": [{"when": value}]}, default_style=style, width=width, allow_unicode=True)
    marked = marks.read(written, 11)
    path = ("k", 0, "when")
    assert marked.value["k"][0]["when"] == value
    lines = written.split("\n")
    for offset, character in enumerate(value):
        if character.isspace() or (style == '"' and character in '"\\'):
            continue
        line, column = marked.written[path].at(value, offset)
        assert lines[line - 11][column - 1] == character
