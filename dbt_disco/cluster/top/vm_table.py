"""The table of virtual machines on the full screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rich.text import Text
from textual.widgets import DataTable

from dbt_disco.cluster.top.wording import megabytes

Statistics = Mapping[str, Any]
_NAMES: Final = 14
_STYLES: Final = {"running": "green", "failed": "red", "restarting": "yellow", "paused": "cyan"}


class _Column(NamedTuple):
    title: str
    width: int
    value: Callable[[Statistics], Any]
    """None: there is nothing to say."""
    text: Callable[[Any], str] = str
    is_number: bool = True


def _sum_of(rates: str) -> Callable[[Statistics], float | None]:
    return lambda vm: sum(vm[rates].values()) if rates in vm else None


def _memory(kind: str) -> Callable[[Statistics], int | None]:
    return lambda vm: vm["memory_use"][kind] if "memory_use" in vm else None


_COLUMNS: Final = (
    _Column("VM", _NAMES, lambda vm: vm["vm"], is_number=False),
    _Column("STATE", 10, lambda vm: vm["state"], is_number=False),
    _Column("NODE", 4, lambda vm: vm["home_node"]),
    _Column("CPU%", 5, lambda vm: vm["percent"], "{:.1f}".format),
    _Column("MIPS", 6, lambda vm: vm.get("mips"), "{:.1f}".format),
    _Column("EXITS/S", 7, _sum_of("exits_per_second"), "{:.0f}".format),
    _Column("PRIVATE", 7, _memory("private"), megabytes),
    _Column("SHARED", 7, _memory("shared"), megabytes),
    _Column("TOUCHED", 7, _memory("touched"), megabytes),
)


class VmTable(DataTable[Text]):
    """A line for each; the cursor is on one, and stays on it however the lines are sorted."""

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cell_padding=0, zebra_stripes=True)
        self.sorted_by = _COLUMNS[0].title
        """Title of the column."""
        self.is_reversed = False
        self._vms: dict[str, Statistics] = {}
        self._order: list[str] = []
        self._arranged: tuple[list[str], _Column, bool] | None = None
        """The order, the column that it is by, and whether from the largest."""

    def on_mount(self) -> None:
        """Make the columns."""
        for column in _COLUMNS:
            self.add_column(_aligned(column, column.title), key=column.title, width=column.width + 1)

    @property
    def selected(self) -> str | None:
        """Name of the virtual machine that the cursor is on."""
        return self._order[self.cursor_row] if 0 <= self.cursor_row < len(self._order) else None

    def show(self, vms: Sequence[Statistics]) -> None:
        """Bring the lines up to date."""
        selected = self.selected
        for vm in vms:
            name = vm["vm"]
            cells = {column.title: _cell(column, vm) for column in _COLUMNS}
            if name in self._vms:
                for title, cell in cells.items():
                    if cell != self.get_cell(name, title):
                        self.update_cell(name, title, cell)
            else:
                self.add_row(*cells.values(), key=name)
            self._vms[name] = vm
        self._arrange(selected)

    def sort_by(self, title: str, *, is_reversed: bool = False) -> None:
        """Sort by a column: names from A, numbers from the largest, unless reversed."""
        self.sorted_by, self.is_reversed = title, is_reversed
        self._arrange(self.selected)

    def sort_by_next(self) -> None:
        """Sort by the column to the right of what it is sorted by."""
        titles = [column.title for column in _COLUMNS]
        self.sort_by(titles[(titles.index(self.sorted_by) + 1) % len(titles)])

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """A click on a title sorts by it, another one the other way round."""
        title = str(event.column_key.value)
        self.sort_by(title, is_reversed=title == self.sorted_by and not self.is_reversed)

    def _arrange(self, selected: str | None) -> None:
        by = next(column for column in _COLUMNS if column.title == self.sorted_by)
        descends = by.is_number != self.is_reversed

        def rank(name: str) -> tuple[bool, Any]:
            value = by.value(self._vms[name])
            return value is not None, 0 if value is None else value

        order = sorted(sorted(self._vms), key=rank, reverse=descends)
        arranged = order, by, descends
        if arranged == self._arranged:
            return
        self._arranged, self._order = arranged, order
        for key, column in zip(self.columns, _COLUMNS, strict=True):
            mark = ("▼" if descends else "▲") if column is by else ""
            self.columns[key].label = _aligned(column, column.title + mark)
        places = {name: place for place, name in enumerate(self._order)}
        self.sort(_COLUMNS[0].title, key=lambda cell: places[cell.plain])
        if selected is not None:
            self.move_cursor(row=places[selected], animate=False)


def _aligned(column: _Column, text: str) -> Text:
    return Text(
        text, justify="right" if column.is_number else "left", no_wrap=True, overflow="ellipsis", end=""
    )


def _cell(column: _Column, vm: Statistics) -> Text:
    value = column.value(vm)
    cell = _aligned(column, "-" if value is None else column.text(value))
    if column.title == "STATE":
        cell.stylize(_STYLES.get(vm["state"], ""))
    return cell
