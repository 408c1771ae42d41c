"""What may be said of an answer's age, and where: the texts, the hints, the headers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import QueryError
from federation.freshness.freshness import check, hint, of_headers, spoken, too_old
from views.max_age import MaxAge

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
CLASSES = {"real_time": 3600.0, "near_real_time": 86400.0, "batch": math.inf, "live": 0.0, "none": None}

durations = st.tuples(st.integers(0, 10**6), st.sampled_from(sorted(UNITS))).map(
    lambda pair: (f"{pair[0]}{pair[1]}", pair[0] * UNITS[pair[1]])
)
bounds = st.one_of(durations, st.sampled_from(sorted(CLASSES.items())))
sources = st.dictionaries(st.sampled_from(["crm", "erp", "dwh", "a_1"]), bounds, max_size=4)


@given(bounds, sources, st.sampled_from([",", ", ", " ,\n"]), st.booleans())
def test_a_list_says_what_its_items_say(
    general: tuple[str, float | None], own: dict[str, tuple[str, float | None]], comma: str, upper: bool
) -> None:
    items = [general[0].upper() if upper else general[0], *(f"{name} = {text}" for name, (text, _) in own.items())]
    found = MaxAge.parse(comma.join(items)) or MaxAge()
    assert found.general == (pytest.approx(general[1]) if general[1] is not None else None)
    for source in ("crm", "erp", "dwh", "a_1", "other"):
        expected = own.get(source, general)[1]
        assert found.of(source) == (pytest.approx(expected) if expected is not None else None)


@given(bounds, sources)
def test_what_is_written_is_read_again(
    general: tuple[str, float | None], own: dict[str, tuple[str, float | None]]
) -> None:
    found = MaxAge.parse(", ".join([general[0], *(f"{name}={text}" for name, (text, _) in own.items())]))
    assert MaxAge.parse(str(found)) == found


@given(st.text(max_size=60))
def test_any_text_is_a_bound_or_a_clear_error(text: str) -> None:
    try:
        MaxAge.parse(text)
    except QueryError as error:
        assert error.sqlstate == "22023"
        assert text[:100] in error.message
        assert "5s" in (error.hint or "")


@pytest.mark.parametrize(
    "text",
    ["5", "5 parsecs", "-1s", "s", "5s, 6s", "dwh=1d, dwh=2d", "=5s", "5s,", "dwh=", "nan", "inf", "1e3s", "5s;"],
)
def test_what_is_no_bound_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match="max_age") as caught:
        MaxAge.parse(text)
    assert caught.value.sqlstate == "22023"


def test_nothing_and_none_and_any_age() -> None:
    assert MaxAge.parse(" ") is None
    assert MaxAge.parse(" none ") == MaxAge()
    batch = MaxAge.parse("batch")
    assert batch is not None
    assert batch.of("crm") == math.inf


def test_a_source_that_is_not_there_is_told() -> None:
    found = MaxAge.parse("5s, dhw=1d")
    assert found is not None
    with pytest.raises(QueryError, match='no source "dhw"') as caught:
        check(found, ["crm", "dwh"])
    assert "dwh" in (caught.value.hint or "")
    check(found, ["crm", "dhw"])


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select 1", None),
        ("select 1 /* vdw: max_age=5s */", "5s"),
        ("/*vdw:max_age = '5s, dwh=1d'*/ select 1", "5s, dwh=1d"),
        ("select 1 -- VDW: MAX_AGE=live\n", "live"),
        ("select /* vdw: max_age=none */ 1", "none"),
        ("select '/* vdw: max_age=5s */'", None),
        ('select 1 as "/* vdw: max_age=5s */"', None),
        ("select $$/* vdw: max_age=5s */$$", None),
        ("select 1 /* about vdw: max_age=5s */", None),
        ("select vdw /* a comment */ from v", None),
    ],
)
def test_a_comment_of_the_statement(sql: str, said: str | None) -> None:
    assert hint(sql) == (None if said is None else MaxAge.parse(said))


def test_where_strings_have_escapes_a_comment_may_be_in_one() -> None:
    sql = r"select 'a\' /* vdw: max_age=5s */ '"
    assert hint(sql, standard=False) is None


@pytest.mark.parametrize(
    "sql",
    ["select 1 /* vdw: max_age=soon */", "select 1 /* vdw: maxage=5s */", "/* vdw: max_age=1s */ select 1 -- vdw: x"],
)
def test_a_comment_that_says_nothing_known_is_refused(sql: str) -> None:
    with pytest.raises(QueryError) as caught:
        hint(sql)
    assert caught.value.sqlstate == "22023"


@pytest.mark.parametrize(
    ("contract", "cache_control", "expected"),
    [
        (None, None, None),
        ("5s", "max-age=9", MaxAge(5.0)),
        ("none", "no-cache", MaxAge()),
        (None, "max-age=5", MaxAge(5.0, kept=True)),
        (None, "no-cache", MaxAge(0.0, kept=True)),
        (None, 'private, max-age="60", no-cache', MaxAge(0.0, kept=True)),
        (None, "max-age=soon", None),
        (None, "only-if-cached", None),
    ],
)
def test_headers(contract: str | None, cache_control: str | None, expected: MaxAge | None) -> None:
    assert of_headers(contract, cache_control) == expected


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.25, "250 ms"), (5, "5 s"), (65, "1 min 5 s"), (7500, "2 h 5 min"), (200_000, "2 days 7 h")]
)
def test_ages_are_told_in_their_two_largest_units(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


@given(st.floats(0, 1e7))
def test_the_remedy_of_an_error_would_do(age: float) -> None:
    error = too_old("source dwh", age, age / 2, "dwh")
    assert (error.sqlstate, "source dwh" in error.message) == ("72000", True)
    enough = MaxAge.parse((error.hint or "").partition("'")[2].partition("'")[0])
    assert enough is not None
    assert (enough.general or 0) > age
