"""How often control comes to blocks that are part of a region, but from outside: from other regions, or from tier 0.

Each time costs as much as some twenty instructions, as all registers that a region uses are loaded and stored again.
Where that happens all the time, one region of both does better; where it does not, small ones do: registers are
allocated better in these.
"""

from __future__ import annotations

from time import monotonic_ns
from typing import Final

_FREQUENT: Final = 1_000_000
"""Times in a second: they take some hundredths of it. What programs lost by larger regions came less than a quarter as
often, what gained by them twice as often or more."""
LAST_GENERATION: Final = 4
"""A region is not translated more often than that: it may not help."""
_SECOND: Final = 1_000_000_000


class Arrivals:
    """When the counters of such blocks began, and how many times in a row they have been found to grow fast."""

    def __init__(self) -> None:
        self._since: Final[dict[int, int]] = {}
        self._in_a_row: Final[dict[int, int]] = {}

    def count_anew(self, place: int) -> None:
        """The counter of a place is zero now."""
        self._since[place] = monotonic_ns()

    def are_frequent(self, place: int, count: int) -> bool:
        """Whether a place has come to `count` in so short a time that its region should become part of a larger one."""
        since = self._since.get(place)
        return since is not None and count * _SECOND >= _FREQUENT * (monotonic_ns() - since)

    def frequent_in_a_row(self, place: int, count: int) -> int:
        """How many times in a row, with this one, that has been so when this was asked."""
        self._in_a_row[place] = self._in_a_row.get(place, 0) + 1 if self.are_frequent(place, count) else 0
        return self._in_a_row[place]
