"""Where a session's last answer came from: a warning where it lacks something, and `vdw.provenance()` for the rest."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from api.pgwire import packets
from federation.canon.shell import PROVENANCE
from federation.freshness import provenance
from views.catalog import SYSTEM

if TYPE_CHECKING:
    from api.pgwire.session import Session
    from federation.result import Part

HINT = "SELECT * FROM vdw.provenance() tells more."
_ASKS = re.compile(rb"provenance", re.IGNORECASE)
_EXECUTES = re.compile(rb"\bexecute\b", re.IGNORECASE)
_SILENT = {"error": ("WARNING", "NOTICE"), "warning": ("NOTICE",)}  # by client_min_messages
_LACKING = frozenset(("missing", "stale"))


class Account:
    """Of one session. `parts` are those of its last answer over virtual relations, begun `at` that time of day."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._asked = False  # a text of this session has named the function
        self.parts: Sequence[Part] = ()
        self.at = 0.0
        self._said = ""

    async def tell(self, parts: Sequence[Part]) -> None:
        """An answer begins: warn of what it lacks, behind what was said before and ahead of its CommandComplete."""
        if any(part.source != SYSTEM for part in parts):
            self.parts, self.at = parts, time.time()
        self._said = ""
        await self._warn(parts)

    async def ended(self, parts: Sequence[Part]) -> None:
        """All its rows are here: what was left out of those that came after the first is told too."""
        if any(part.left_out for part in parts):
            await self._warn(parts)

    async def _warn(self, parts: Sequence[Part]) -> None:
        if not any(part.origin in _LACKING or part.left_out for part in parts):
            return
        await self._session.handover.desk.refresh()
        found = [fact for fact in provenance.facts(parts, self.at) if fact.warning]
        message = "; ".join(fact.warning for fact in found)
        if message == self._said:
            return
        self._said = message
        # What is past its time as its owner wishes, while it is renewed, or NULL as it does not fit, is worth a word;
        # what is down, a warning.
        severity = "WARNING" if any(fact.why for fact in found) else "NOTICE"
        if severity in _SILENT.get(self._session.settings.values["client_min_messages"], ()):
            return
        letters = {
            "S": severity,
            "V": severity,
            "C": "01000",
            "M": message,
            "D": "; ".join(dict.fromkeys(fact.why for fact in found if fact.why)),
            "H": HINT,
        }
        told = {letter: text.replace("\0", "") for letter, text in letters.items() if text}
        self._session.backend.say(packets.error(told, b"N"))

    def asks(self, text: bytes) -> bool:
        """Whether a text may read the function, by itself or by what it executes."""
        named = _ASKS.search(text) is not None
        self._asked = self._asked or named
        return named or (self._asked and _EXECUTES.search(text) is not None)

    async def publish(self) -> None:
        """Put it where the function finds it: a setting of the session, in its own backend."""
        backend = self._session.backend
        if backend.status == "E" or backend.failed:
            return  # nothing runs there now
        told = json.dumps([fact.json() for fact in provenance.facts(self.parts, self.at)])
        asked = "SELECT pg_catalog.set_config($1, $2, false)"
        await self._session.handover.desk.ask(asked, (PROVENANCE.encode(), told.encode()))
