"""`dbt-disco top` on a terminal, for Textual: machine, virtual machines, one of them in detail, what they share."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, Final

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.css.query import NoMatches
from textual.message import Message
from textual.widgets import DataTable, Footer, Static

from dbt_disco.cluster.client import Client, Refused
from dbt_disco.cluster.top.bars import Bars, bars_of
from dbt_disco.cluster.top.details import Details, shared_details, vm_details
from dbt_disco.cluster.top.looks import Looks
from dbt_disco.cluster.top.vm_table import VmTable
from dbt_disco.cluster.top.wording import duration
from dbt_disco.command_error import CommandError

_FIRST_INTERVAL: Final = 0.5
"""Seconds, if others are not shorter: nobody wants to wait for the first rates."""


class Looked(Message):
    """There is something new to show: see `rates`."""

    def __init__(self, shown: Mapping[str, Any]) -> None:
        super().__init__()
        self.shown = shown


class WasRefused(Message):
    """The cluster has not carried out a command."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class ClusterEnded(Message):
    """There is nothing to show any more."""


class TopApplication(App[str]):
    """Its result is why it has ended, if nobody ended it."""

    CSS = """
    #head { height: 1; padding: 0 1; background: $primary; color: $text; }
    VmTable { height: 1fr; min-height: 5; }
    #lower { height: 40%; min-height: 9; max-height: 18; }
    #vm { width: 1fr; border: round $primary; }
    #shared { width: 45%; border: round $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("s", "sort", "Sort by next"),
        Binding("r", "reverse", "Reverse"),
        Binding("p", "pause", "Pause/continue VM"),
        Binding("c", "console", "Console?"),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, client: Client, interval: float) -> None:
        """`interval` is the time between two looks, in seconds."""
        super().__init__()
        self._client = client
        self._interval = interval
        self._commands: SimpleQueue[tuple[str, str] | None] = SimpleQueue()
        """(Command, virtual machine) for the cluster; None: end."""
        self._vms: dict[str, Mapping[str, Any]] = {}

    def compose(self) -> ComposeResult:
        """See App."""
        yield Static(id="head", markup=False)
        yield Bars()
        yield VmTable()
        with Horizontal(id="lower"):
            with VerticalScroll(id="vm"):
                yield Details()
            with VerticalScroll(id="shared") as shared:
                shared.border_title = "all virtual machines"
                yield Details()
        yield Footer()

    def on_mount(self) -> None:
        """See App."""
        self.query_one(VmTable).focus()
        self._look_again_and_again()

    def on_unmount(self) -> None:
        """End the thread that looks."""
        self._commands.put(None)

    @work(thread=True)
    def _look_again_and_again(self) -> None:
        try:
            self._look_until_told()
        except CommandError:
            self.post_message(ClusterEnded())

    def _look_until_told(self) -> None:
        looks = Looks(self._client)
        self.post_message(Looked(looks.first()))
        wait = min(_FIRST_INTERVAL, self._interval)
        while True:
            try:
                command = self._commands.get(timeout=wait)
            except Empty:
                wait = self._interval
            else:
                if command is None:
                    return
                self._carry_out(*command)
            self.post_message(Looked(looks.look()))

    def _carry_out(self, command: str, vm: str) -> None:
        try:
            self._client.execute(command, vm=vm)
        except Refused as error:
            self.post_message(WasRefused(str(error)))

    # Showing.

    def on_looked(self, message: Looked) -> None:
        """Bring everything up to date."""
        with suppress(NoMatches):  # the screen is being taken down
            self._show(message.shown)

    def _show(self, shown: Mapping[str, Any]) -> None:
        self._vms = {vm["vm"]: vm for vm in shown["vms"]}
        up = duration(shown["up"])
        count = len(self._vms)
        machines = "1 virtual machine" if count == 1 else f"{count} virtual machines"
        head = f"cluster {shown['cluster']}, up {up}, {machines}"
        self.query_one("#head", Static).update(head, layout=False)
        self.query_one(Bars).show(*bars_of(shown))
        self.query_one(VmTable).show(shown["vms"])
        shared = self.query_one("#shared", VerticalScroll)
        self.query_one("#shared Details", Details).show(shared_details(shown, shared.content_size.width))
        self._show_vm()

    def _show_vm(self) -> None:
        selected = self.query_one(VmTable).selected
        if selected is not None and selected in self._vms:
            self.query_one("#vm", VerticalScroll).border_title = selected
            self.query_one("#vm Details", Details).show(vm_details(self._vms[selected]))

    def on_data_table_row_highlighted(self, _: DataTable.RowHighlighted) -> None:
        """The cursor has moved."""
        self._show_vm()

    def on_was_refused(self, message: WasRefused) -> None:
        """Say why."""
        self.notify(message.reason, severity="error", markup=False)

    def on_cluster_ended(self) -> None:
        """Whoever has started the application says so on the terminal that is left."""
        self.exit(f"cluster {self._client.about['cluster']} has ended")

    # Keys.

    def action_sort(self) -> None:
        """Sort by the next column."""
        self.query_one(VmTable).sort_by_next()

    def action_reverse(self) -> None:
        """Sort the other way round."""
        table = self.query_one(VmTable)
        table.sort_by(table.sorted_by, is_reversed=not table.is_reversed)

    def action_pause(self) -> None:
        """Have the virtual machine under the cursor stand still, or go on if it does."""
        selected = self.query_one(VmTable).selected
        if selected is not None:
            is_paused = self._vms[selected]["state"] == "paused"
            self._commands.put(("vm-continue" if is_paused else "vm-pause", selected))

    def action_console(self) -> None:
        """Say how to get at the console."""
        selected = self.query_one(VmTable).selected
        if selected is not None:
            cluster = self._client.about["cluster"]
            words = f"dbt-disco cluster console {selected} --cluster {cluster}"
            self.notify(f"{words}\nWith --log it prints what was written.", title="Its console", markup=False)
