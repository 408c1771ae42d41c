"""One server of several: how far it is behind, whether it answers, and what may be said of its data's age."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

from connectors.base import Connector, Replication
from connectors.errors import Error

EVERY = 1.0  # seconds between two readings of a lag
PATIENCE = 2.0  # seconds that one may take
FIRST, LONGEST = 1.0, 30.0  # seconds until a server that failed is tried again; twice as long each time


class Member:
    """Thread-safe. Its lag is read by whoever is about to ask it; one that is down is tried by nobody who waits."""

    def __init__(self, name: str, connector: Connector, replica: bool) -> None:
        self.name, self.connector, self.replica = name, connector, replica
        self.promoted = False
        self.alike = False  # to the server for which plans are made
        self.distance = 0.0  # seconds of a round trip; what is not known yet is tried
        self._lock = threading.Lock()
        self._told: Replication | None = None
        self._at = -math.inf
        self._pause, self._until, self._why = 0.0, 0.0, ""
        self._trying = False

    @property
    def lag(self) -> float | None:
        """Seconds that its data can be behind by now, at most; None where nobody knows."""
        if not self.replica or self.promoted:
            return 0.0
        told = self._told
        if told is None or told.lag is None:
            return None
        return told.lag + time.monotonic() - self._at

    @property
    def role(self) -> str:
        """primary | replica."""
        return "replica" if self.replica and not self.promoted else "primary"

    def looked(self) -> str:
        """Asked now, for people: "up", or why it is not used."""
        if not self._why:
            self._read()
        return f"down ({self._why})" if self._why else "up"

    def unfit(self, most: float, now: bool = False) -> str:
        """Why it must not be asked for data that may be `most` seconds behind; ''. `now`: without asking it."""
        if self._why:
            if time.monotonic() >= self._until:
                self._try()
            return f"is down ({self._why})"
        if time.monotonic() - self._at >= EVERY and (self.replica or not self.distance):
            if now:
                return "is to be asked for its lag"
            self._read()
            if self._why:
                return f"is down ({self._why})"
        return self._behind(most)

    def failed(self, error: Error) -> None:
        """It does not answer: it is left alone for a while."""
        self._pause = min(self._pause * 2, LONGEST) if self._pause else FIRST
        self._until = time.monotonic() + self._pause
        self._at = -math.inf
        self._why = error.message

    def well(self) -> None:
        """It has answered."""
        self._pause, self._why = 0.0, ""

    def _behind(self, most: float) -> str:
        lag = self.lag
        if math.isinf(most):
            return ""
        if lag is None:
            return "does not tell its lag" + (
                f": {self._told.why}" if self._told is not None and self._told.why else ""
            )
        return f"is {lag:.1f} s behind" if lag > most else ""

    def _read(self) -> None:
        """Ask for its lag, unless another does just now."""
        with self._lock:
            began = time.monotonic()
            if began - self._at < EVERY:
                return
            try:
                self._ask(began)
            except Error as error:
                self.failed(error)

    def _ask(self, began: float) -> None:
        connector: Any = self.connector
        if self.replica:
            told: Replication = connector.replication(PATIENCE)
            self._told, self.promoted = told, not told.replica
        else:
            connector.ping(PATIENCE)
        took = time.monotonic() - began
        self.distance = took if not self.distance else 0.8 * self.distance + 0.2 * took
        self._at = began
        self.well()

    def _try(self) -> None:
        """See behind the scenes whether it answers again."""
        with self._lock:
            if self._trying:
                return
            self._trying = True
        threading.Thread(target=self._tried, name="replica", daemon=True).start()

    def _tried(self) -> None:
        try:
            self._ask(time.monotonic())
        except Error as error:
            self.failed(error)
        finally:
            self._trying = False
