"""Metrics of watches and alerts, for Prometheus: above all of those that say nothing although they should."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.watches.store import Store


@dataclass(frozen=True, slots=True)
class Figures:
    """Out of the file: alerts by notifier and state, when the oldest that waits was raised by notifier, breaches and
    when an answer could last be relied upon by watch."""

    alerts: dict[tuple[str, str], int] = field(default_factory=dict)
    oldest: dict[str, float] = field(default_factory=dict)
    breaches: dict[str, int] = field(default_factory=dict)
    relied: dict[str, float] = field(default_factory=dict)


def figures(store: Store) -> Figures:
    """As they are now."""
    ask = store.connection.execute
    standing = ask(
        "SELECT notifier, state, count(*) AS n, min(created) AS oldest FROM delivery "
        "WHERE state IN ('pending', 'sending', 'failed', 'held') GROUP BY notifier, state"
    ).fetchall()
    waiting = [row for row in standing if row["state"] in ("pending", "sending")]
    breaches = ask("SELECT watch, count(*) FROM breach WHERE cleared IS NULL GROUP BY watch")
    relied = ask("SELECT name, coalesce(relied, since) FROM watch")
    return Figures(
        {(row["notifier"], row["state"]): row["n"] for row in standing},
        {row["notifier"]: row["oldest"] for row in waiting},
        dict(map(tuple, breaches)),
        dict(map(tuple, relied)),
    )


class AlertMeters(Collector):
    """Of the alerts of a runtime, while it has any."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        alerts = self._runtime.alerts
        leads = alerts is not None and alerts.leads
        yield GaugeMetricFamily("vdw_alerts_leader", "1 where this server asks the watches and sends.", value=leads)
        if not leads:
            return
        yield from _watches(alerts)
        yield from _notifiers(alerts)


def _watches(alerts: Any) -> Iterator[Metric]:
    answers = CounterMetricFamily("vdw_watch_answers", "Answers of a watch, by state.", labels=("watch", "state"))
    age = GaugeMetricFamily("vdw_watch_age_seconds", "Since an answer could be relied upon.", labels=("watch",))
    breaches = GaugeMetricFamily("vdw_watch_breaches", "Breaches that last.", labels=("watch",))
    for name, watcher in alerts.watchers.items():
        for state, count in watcher.counts.items():
            answers.add_metric((name, state), count)
        breaches.add_metric((name,), alerts.figures.breaches.get(name, 0))
        if name in alerts.figures.relied:
            age.add_metric((name,), max(0.0, time.time() - alerts.figures.relied[name]))
    yield from (answers, age, breaches)


def _notifiers(alerts: Any) -> Iterator[Metric]:
    attempts = CounterMetricFamily(
        "vdw_alert_attempts", "Attempts to send, by how they ended.", labels=("notifier", "outcome")
    )
    up = GaugeMetricFamily("vdw_notifier_up", "Whether its secrets and files could be read.", labels=("notifier",))
    standing = GaugeMetricFamily("vdw_alerts", "Alerts that wait or are put aside.", labels=("notifier", "state"))
    oldest = GaugeMetricFamily("vdw_alerts_oldest_seconds", "Age of the oldest that waits.", labels=("notifier",))
    names = {*alerts.couriers, *alerts.faults, *(name for name, _ in alerts.figures.alerts)}
    for name in sorted(names):
        up.add_metric((name,), name in alerts.couriers)
        for state in ("pending", "failed", "held"):
            standing.add_metric((name, state), alerts.figures.alerts.get((name, state), 0))
        since = alerts.figures.oldest.get(name)
        oldest.add_metric((name,), 0.0 if since is None else max(0.0, time.time() - since))
    for name, courier in alerts.couriers.items():
        for outcome, count in courier.counts.items():
            attempts.add_metric((name, outcome), count)
    yield from (attempts, up, standing, oldest)
