"""Debug locations that carry guest addresses through LLVM, for listings.

A line number is the guest address divided by 4; optimised IR and host assembly keep it, the former as `!DILocation`,
the latter as `.loc` directives.
"""

from __future__ import annotations

import re
from typing import Final

_FIRST: Final = 100
"""Metadata numbers below belong to others."""
_SCOPE: Final = _FIRST + 2
_LOCATION: Final = re.compile(r"^!(\d+) = !DILocation\(line: (\d+)", re.MULTILINE)
_REFERENCE: Final = re.compile(r"(?:, )?!dbg !(\d+)")
_DIRECTIVE: Final = re.compile(r"^\s*\.loc\s+\d+\s+(\d+)")


class SourceLines:
    """The locations of one module, whose only function is made from guest code."""

    scope: Final = f" !dbg !{_SCOPE}"
    """Goes behind the attributes of the function's definition."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def suffix(self, pc: int) -> str:
        """Goes behind every instruction that guest address `pc` is translated to."""
        number = self._numbers.setdefault(pc, _SCOPE + 3 + len(self._numbers))
        return f", !dbg !{number}"

    def metadata(self) -> str:
        """The module's debug information."""
        unit, file, scope, kind, version = range(_FIRST, _FIRST + 5)
        lines = [
            f"!llvm.dbg.cu = !{{!{unit}}}",
            f"!llvm.module.flags = !{{!{version}}}",
            f"!{unit} = distinct !DICompileUnit(language: DW_LANG_C, file: !{file}, emissionKind: LineTablesOnly)",
            f'!{file} = !DIFile(filename: "guest", directory: "")',
            f'!{scope} = distinct !DISubprogram(name: "region", file: !{file}, unit: !{unit}, type: !{kind}, '
            "spFlags: DISPFlagDefinition)",
            f"!{kind} = !DISubroutineType(types: !{{}})",
            f'!{version} = !{{i32 2, !"Debug Info Version", i32 3}}',
        ]
        lines += [
            f"!{number} = !DILocation(line: {pc >> 2}, scope: !{scope})"
            for pc, number in self._numbers.items()
        ]
        return "\n".join(lines)


def ir_lines(text: str) -> list[tuple[int | None, str]]:
    """The functions of an IR module, line by line, each with the guest address it came from."""
    addresses = {number: int(line) << 2 for number, line in _LOCATION.findall(text)}
    lines: list[tuple[int | None, str]] = []
    inside = False
    for line in text.splitlines():
        inside = inside or line.startswith("define ")
        if inside:
            reference = _REFERENCE.search(line)
            address = addresses.get(reference[1]) if reference else None
            lines.append((address or None, _REFERENCE.sub("", line)))
        inside = inside and line != "}"
    return lines


def assembly_lines(text: str) -> list[tuple[int | None, str]]:
    """Instructions and labels of host assembly, each with the guest address it came from."""
    address: int | None = None
    lines: list[tuple[int | None, str]] = []
    for line in text.splitlines():
        directive = _DIRECTIVE.match(line)
        if directive:
            address = int(directive[1]) << 2 or None
        stripped = line.split("#")[0].rstrip()
        is_label = stripped.endswith(":") and not stripped.startswith((".Ltmp", ".Lfunc", ".Lloc"))
        if is_label and not stripped.startswith(".L"):
            address = None
        if is_label or (stripped.startswith("\t") and not stripped.startswith("\t.")):
            lines.append((None if is_label else address, stripped))
    return lines
