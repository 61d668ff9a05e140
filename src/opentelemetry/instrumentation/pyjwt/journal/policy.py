"""What the operator decided about the journal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """Times in seconds, sizes in bytes; see the settings of the same names."""

    fsync: str  #: ``never``, ``interval`` or ``always``
    rotate: float
    rotate_bytes: int
    retention: float
    max_bytes: int
    on_full: str  #: ``drop`` or ``refuse``
