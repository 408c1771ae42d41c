"""The server killed at random while it alerts: the benchmark in small."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.alerts import CHANNELS, run

pytestmark = pytest.mark.slow  # servers come and go


def test_each_breach_arrives_once_by_each_channel(tmp_path: Path) -> None:
    told = run(tmp_path, breaches=40, seed=4, longest=1.0, faults=0.05, kills=2)
    assert told["kills"] >= 1
    for channel in CHANNELS:
        found = told[channel]
        assert (found["delivered"], found["missing"], found["under_two_ids"], found["ids"]) == (40, 0, 0, 40)
