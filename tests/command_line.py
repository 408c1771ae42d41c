"""The command line in this process, as every test of a command runs it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from api.cli import main

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def vdw(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command line in this process: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run
