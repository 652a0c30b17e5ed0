"""The machine on the full screen: a bar for each CPU, and for each node's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from rich.text import Text
from textual.geometry import Size
from textual.widget import Widget

from dbt_disco.cluster.top.wording import megabytes

_NARROWEST: Final = 20
_ROWS: Final = 6
_SHARES: Final = ((0.6, "green"), (0.85, "yellow"), (1.01, "red"))
"""Up to which share a bar has which colour."""


class Bar(NamedTuple):
    """How much of something is in use."""

    name: str
    share: float
    """0 to 1."""
    words: str


def bars_of(shown: Mapping[str, Any]) -> tuple[list[Bar], list[Bar]]:
    """Of the CPUs and of the nodes, from `rates`."""
    memory = shown["memory"]
    size = memory["machine"] / len(memory["in_use_of_nodes"])
    cpus = [
        Bar(f"CPU {cpu['number']}", cpu["percent"] / 100, f"{cpu['percent']:.1f}%") for cpu in shown["cpus"]
    ]
    nodes = [
        Bar(f"node {node}", used / size, f"{megabytes(used)}/{size / (1 << 20):.0f}M")
        for node, used in enumerate(memory["in_use_of_nodes"])
    ]
    return cpus, nodes


class Bars(Widget):
    """Rows of bars: first of CPUs, then of nodes."""

    DEFAULT_CSS = "Bars { height: auto; padding: 0 1; }"

    def __init__(self) -> None:
        super().__init__()
        self._kinds: tuple[Sequence[Bar], ...] = ()

    def show(self, *kinds: Sequence[Bar]) -> None:
        """Each kind begins a row of its own."""
        if kinds == self._kinds:
            return
        is_other = [*map(len, kinds)] != [*map(len, self._kinds)]
        self._kinds = kinds
        self.refresh(layout=is_other)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """See Widget."""
        return sum(len(_rows(kind, width)) for kind in self._kinds)

    def render(self) -> Text:
        """See Widget."""
        width = self.content_size.width
        rows = [row for kind in self._kinds for row in _rows(kind, width)]
        columns = max(map(len, rows), default=1)
        cell = max((width - columns + 1) // columns, 1)
        text = Text(no_wrap=True, end="")
        for number, row in enumerate(rows):
            text.append("\n" if number else "")
            for column, bar in enumerate(row):
                text.append(" " if column else "")
                text.append_text(_drawn(bar, cell))
        return text


def _rows(bars: Sequence[Bar], width: int) -> list[Sequence[Bar]]:
    """As few columns as do, of at least two; what does not fit at all is left out, and its last place says so."""
    columns = max(2, min(-(-len(bars) // _ROWS), max(width // _NARROWEST, 2)))
    most = columns * _ROWS
    if len(bars) > most:
        bars = [*bars[: most - 1], Bar(f"and {len(bars) - most + 1} more", 0, "")]
    return [bars[at : at + columns] for at in range(0, len(bars), columns)]


def _drawn(bar: Bar, width: int) -> Text:
    """`name [|||      words]`, `width` wide."""
    inside = max(width - len(bar.name) - 3, 0)
    share = min(max(bar.share, 0.0), 1.0)
    signs = ("|" * round(share * inside)).ljust(inside)
    words = bar.words[:inside]
    signs = signs[: inside - len(words)] + words
    colour = next(colour for limit, colour in _SHARES if share < limit)
    text = Text(f"{bar.name} ", style="bold")
    text.append("[")
    text.append(signs[: round(share * inside)], style=colour)
    text.append(signs[round(share * inside) :])
    text.append("]")
    return text
