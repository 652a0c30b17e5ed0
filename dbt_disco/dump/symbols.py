"""Where a program's code is, and its functions by name and by address, from its ELF tables."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple


class Symbol(NamedTuple):
    """A function."""

    name: str
    address: int
    size: int
    """In bytes; 0 if the file does not tell."""


class SymbolTable:
    """Functions by name and address; empty for a stripped program."""

    def __init__(self, symbols: Iterable[Symbol]) -> None:
        self._by_address = sorted(symbols, key=lambda symbol: (symbol.address, symbol.size, symbol.name))
        self._addresses = [symbol.address for symbol in self._by_address]
        self._by_name = {symbol.name: symbol for symbol in self._by_address}

    def __len__(self) -> int:
        return len(self._by_address)

    def find(self, name: str) -> Symbol | None:
        """The function called `name`."""
        return self._by_name.get(name)

    def similar(self, name: str) -> list[str]:
        """Names that someone who typed `name` may have meant."""
        from difflib import get_close_matches

        return get_close_matches(name, self._by_name, n=3)

    def name_of(self, address: int) -> str:
        """`function` or `function+0x10`; empty if no function holds the address."""
        index = bisect_right(self._addresses, address) - 1
        if index < 0:
            return ""
        symbol = self._by_address[index]
        distance = address - symbol.address
        if symbol.size and distance >= symbol.size:
            return ""
        return symbol.name if not distance else f"{symbol.name}+{distance:#x}"


def read_symbols(path: str | bytes, bias: int) -> SymbolTable:
    """The functions of an ELF file loaded `bias` above its own addresses; none if the tables are damaged."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    symbols: list[Symbol] = []
    with open(path, "rb") as file:
        try:
            sections = ELFFile(file).iter_sections()
            tables = [section for section in sections if isinstance(section, SymbolTableSection)]
            for table in tables:
                for entry in table.iter_symbols():
                    is_defined = entry["st_shndx"] != "SHN_UNDEF" and entry.name
                    if entry["st_info"]["type"] == "STT_FUNC" and is_defined:
                        symbols.append(Symbol(entry.name, entry["st_value"] + bias, entry["st_size"]))
        except (ELFError, ValueError, KeyError, UnicodeDecodeError):
            return SymbolTable(symbols)
    return SymbolTable(symbols)


def code_sections(path: str | bytes, bias: int) -> list[tuple[int, int]]:
    """(start, end) of an ELF file's sections of code; none if it does not tell."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.constants import SH_FLAGS
    from elftools.elf.elffile import ELFFile

    with open(path, "rb") as file:
        try:
            headers = [section.header for section in ELFFile(file).iter_sections()]
        except (ELFError, ValueError, KeyError, UnicodeDecodeError):
            return []
    starts = [(h["sh_addr"] + bias, h["sh_size"]) for h in headers if h["sh_flags"] & SH_FLAGS.SHF_EXECINSTR]
    return [(start, start + size) for start, size in starts]


def load_bias(path: str | bytes, lowest_mapped: int) -> int:
    """How far above its own addresses a file is loaded whose lowest page is at `lowest_mapped`."""
    from elftools.elf.elffile import ELFFile

    with open(path, "rb") as file:
        loads = [s["p_vaddr"] for s in ELFFile(file).iter_segments() if s["p_type"] == "PT_LOAD"]
    return lowest_mapped - (int(min(loads)) & ~0xFFF)
