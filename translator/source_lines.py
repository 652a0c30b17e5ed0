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
_LEADING: Final = re.compile(r"(?!enter:)[\w.]*(_[0-9a-f]{8}|\.\d+|LBB\w+):$|\s+%\S+ = phi ")
"""Labels of blocks, in IR and assembly, but the function's first, and phis."""
_LABELS_OF_DEBUGGING: Final = (".Ltmp", ".Lfunc", ".Lloc")
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


Line = tuple[int | None, str]
"""A guest address, and a line that came from the instruction there; labels and phis go with what they lead to."""


def ir_lines(text: str) -> list[Line]:
    """The functions of an IR module, line by line."""
    addresses = {number: int(line) << 2 for number, line in _LOCATION.findall(text)}
    lines: list[Line] = []
    inside = False
    for line in text.splitlines():
        inside = inside or line.startswith("define ")
        if inside and line:
            reference = _REFERENCE.search(line)
            address = addresses.get(reference[1]) if reference else None
            lines.append((address or None, _REFERENCE.sub("", line).partition(" ; preds")[0].rstrip()))
        inside = inside and line != "}"
    return _leading_lines_placed(lines)


def assembly_lines(text: str) -> list[Line]:
    """Instructions and labels of host assembly."""
    address: int | None = None
    in_code = True
    lines: list[Line] = []
    for line in text.splitlines():
        content = line.partition("#")[0].rstrip()
        directive = _DIRECTIVE.match(line)
        if directive:
            address = int(directive[1]) << 2 or None
        elif content.startswith(("\t.text", "\t.section")):
            in_code = content.split()[0] == ".text" or ".text" in content
        elif content.endswith(":") and not content.startswith("."):
            address = None  # a function
        is_label = content.endswith(":") and not content.startswith(_LABELS_OF_DEBUGGING)
        if in_code and (is_label or (content.startswith("\t") and not content.startswith("\t."))):
            lines.append((None if is_label else address, content))
    return _leading_lines_placed(lines)


def _leading_lines_placed(lines: list[Line]) -> list[Line]:
    """Give labels of blocks, and the phis behind them, the address of the instruction that follows."""
    placed: list[Line] = []
    following: int | None = None
    for address, line in reversed(lines):
        is_leading = _LEADING.match(line) is not None
        if not is_leading:
            following = address
        placed.append((address or (following if is_leading else None), line))
    return placed[::-1]
