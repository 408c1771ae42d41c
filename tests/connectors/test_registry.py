"""Kinds, options, and what is said of wrong ones."""

from __future__ import annotations

import pytest

from connectors.errors import ConfigError
from connectors.registry import connect, kinds, options_model


def test_the_kinds_are_entry_points() -> None:
    assert {"postgresql", "mariadb", "mysql"} <= set(kinds())


def test_an_unknown_kind_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError) as error:
        connect("postgres", "crm", {})
    assert 'did you mean "postgresql"' in str(error.value.hint)


@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "mysql"])
def test_an_unknown_option_suggests_the_nearest(kind: str) -> None:
    with pytest.raises(ConfigError) as error:
        connect(kind, "crm", {"pasword": "secret", "host": "x"})
    assert 'did you mean "password"' in error.value.message
    assert "crm" in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "option", "value"), [("postgresql", "port", "secret"), ("mariadb", "connect_timeout", "secret")]
)
def test_a_wrong_value_is_named_but_not_shown(kind: str, option: str, value: str) -> None:
    with pytest.raises(ConfigError) as error:
        connect(kind, "crm", {option: value})
    assert option in error.value.message
    assert value not in str(error.value)


def test_options_make_a_schema() -> None:
    model = options_model("postgresql")
    assert model is not None
    schema = model.model_json_schema()
    assert schema["additionalProperties"] is False
    assert {"host", "port", "database", "user", "password", "tls"} <= set(schema["properties"])
