"""The systems of real-time CRM, each shown by a few questions: a module has TITLE and questions(oracle)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from examples.crm.scenes import complaints, marts, rules, scenarios, segmentation
from examples.crm.tour import Oracle, Question


class Scene(Protocol):
    """A module of this package."""

    TITLE: str

    def questions(self, oracle: Oracle) -> Sequence[Question]:
        """What is asked, and done, in this order."""


SCENES: tuple[Scene, ...] = (scenarios, rules, complaints, segmentation, marts)
