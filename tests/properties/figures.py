"""What a run of the properties has tried and found, for the summary at its end."""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass, field

#: Cases of a recorded run, all properties together; unset, a run is short and always the same.
CASES = int(os.environ.get("PROPERTY_CASES", "0"))
SHORT_RUN = 1_000


def share(part: float) -> int:
    """How many examples a property gets that is to have this part of the cases."""
    return max(1, math.ceil((CASES or SHORT_RUN) * part))


@dataclass
class Figures:
    """Counts over all properties of a run."""

    cases: int = 0
    events_expected: int = 0
    events_seen: int = 0
    secrets_sought: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)  # bodies of events
    findings: Counter[str] = field(default_factory=Counter)  # by kind, see KINDS


#: The kinds of findings: each of them breaks a promise.
KINDS = ("differences", "lost events", "surplus events", "broken promises", "secrets found", "failures logged")

FIGURES = Figures()
