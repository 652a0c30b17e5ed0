"""Which regions to show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dbt_disco.command_error import CommandError
from dbt_disco.dump.guest_code import GuestCode
from dbt_disco.dump.listing import find_region
from dbt_disco.dump.symbols import SymbolTable
from translator.region import Region


def by_address(code: GuestCode, address: int) -> Iterator[Region]:
    """The region at an address; CommandError if there is no code."""
    region = find_region(code, address) if not address & 3 else None
    if region is None:
        reason = "is not a multiple of 4" if address & 3 else "is not in the program's code"
        raise CommandError(f"{address:#010x} {reason}; --all shows where code is")
    yield region


def by_symbol(code: GuestCode, symbols: SymbolTable, name: str) -> Iterator[Region]:
    """The regions that a function's code is in; CommandError if it is not known."""
    symbol = symbols.find(name)
    if symbol is None:
        if not len(symbols):
            raise CommandError(f"no symbol {name!r}: the program is stripped; use --address or --all")
        similar = symbols.similar(name)
        hint = f"did you mean {' or '.join(similar)}?" if similar else "--all shows every function"
        raise CommandError(f"no function is called {name!r}; {hint}")
    yield from _covering(code, range(symbol.address, symbol.address + max(symbol.size, 4), 4))


def everything(code: GuestCode, sections: list[tuple[int, int]]) -> Iterator[Region]:
    """Regions that cover the program's sections of code, or if it has no sections its executable mappings.

    What is no instruction is left out.
    """
    covered: set[int] = set()
    for start, end in sections or code.program_code():
        yield from _covering(code, range(start, end, 4), covered)


def hottest(code: GuestCode, count: int) -> Iterator[Region]:
    """Regions around the most often executed blocks, none of which is in an earlier one."""
    covered: set[int] = set()
    for seed in code.hottest():
        if len(covered) and seed in covered:
            continue
        region = find_region(code, seed)
        if region is None:
            continue
        covered.update(region.words())
        yield region
        count -= 1
        if not count:
            return


def _covering(code: GuestCode, addresses: Iterable[int], covered: set[int] | None = None) -> Iterator[Region]:
    covered = set() if covered is None else covered
    for pc in addresses:
        if pc in covered or code.instruction(pc) is None:
            continue
        region = find_region(code, pc)
        if region is not None:
            covered.update(region.words())
            yield region
