"""Looking at a running cluster again and again."""

from __future__ import annotations

from typing import Any

from dbt_disco.cluster.client import Client
from dbt_disco.cluster.top.rates import rates


class Looks:
    """Each look compares with the one before."""

    def __init__(self, client: Client) -> None:
        """The first one, which `look` compares with. CommandError if the cluster goes; so for `look`."""
        self._client = client
        self._last: dict[str, Any] = self._statistics()

    def first(self) -> dict[str, Any]:
        """The first look, as if nothing had happened before it."""
        return rates(self._last, self._last)

    def look(self) -> dict[str, Any]:
        """What there is now, and what has happened since the last look: see `rates`."""
        now = self._statistics()
        found = rates(self._last, now)
        self._last = now
        return found

    def _statistics(self) -> dict[str, Any]:
        while self._client.has_event():  # nobody asks for them here, and they would pile up
            self._client.next_event()
        found: dict[str, Any] = self._client.execute("query-statistics")
        return found
