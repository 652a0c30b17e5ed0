"""Listings for people: each guest instruction, then what came of it."""

from __future__ import annotations

from collections.abc import Iterator

from dbt_disco.dump.listing import STAGES, Line, Listing

_COUNT_WIDTH = 16


def format_text(listing: Listing) -> str:
    """The whole listing."""
    return "\n".join([*_headline(listing), *_body(listing)]) + "\n"


def _headline(listing: Listing) -> Iterator[str]:
    region = listing.region
    name = f" <{listing.symbol}>" if listing.symbol else ""
    executed = f", {listing.executed:,} executed" if listing.executed is not None else ""
    yield f"region {region.seed:08x}{name}: {len(region.words())} instructions in {len(region.blocks)} blocks{executed}"
    yield f"entries: {' '.join(f'{pc:08x}' for pc in region.entries)}"
    if listing.failure is not None:
        yield f"not compiled, always interpreted: {listing.failure}"


def _body(listing: Listing) -> Iterator[str]:
    if "guest" not in listing.stages or len(listing.stages) == 1:
        for stage, lines in listing.stages.items():
            if len(listing.stages) > 1:
                yield f"{STAGES[stage]}:"
            yield from (_sequential(line) for line in lines)
        return
    for guest in listing.stages["guest"]:
        yield _sequential(guest)
        yield from _derived(listing, guest.address)
    yield "for the region as a whole:"
    yield from _derived(listing, None)


def _derived(listing: Listing, address: int | None) -> Iterator[str]:
    for stage, lines in listing.stages.items():
        if stage != "guest":
            for line in lines:
                if line.address == address:
                    yield f"{'':10}{stage:5} {_detabbed(line)}"


def _sequential(line: Line) -> str:
    where = f"{line.address:08x}" if line.address is not None else ""
    text = f"{where:8}  {_detabbed(line)}"
    if line.executions is None:
        return text
    return f"{text:70}{line.executions:{_COUNT_WIDTH},}"


def _detabbed(line: Line) -> str:
    return (
        line.text.strip("\n").expandtabs(8) if not line.text.startswith("\t") else line.text[1:].expandtabs(8)
    )
