"""Listings for programs."""

from __future__ import annotations

from typing import Any

from dbt_disco.dump.listing import Line, Listing


def as_json(listing: Listing) -> dict[str, Any]:
    """A region: its address, symbol and entries, its blocks (start and end), and its lines by stage."""
    region = listing.region
    result: dict[str, Any] = {
        "address": region.seed,
        "symbol": listing.symbol,
        "entries": region.entries,
        "blocks": [{"start": block.start, "end": block.end} for block in region.blocks.values()],
        "stages": {stage: [_line(line) for line in lines] for stage, lines in listing.stages.items()},
    }
    if listing.executed is not None:
        result["executed"] = listing.executed
    if listing.failure is not None:
        result["failure"] = listing.failure
    return result


def _line(line: Line) -> dict[str, Any]:
    result: dict[str, Any] = {"address": line.address, "text": line.text}
    if line.executions is not None:
        result["executions"] = line.executions
    return result
