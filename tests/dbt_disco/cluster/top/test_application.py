"""The full screen of `dbt-disco top`, on a cluster that runs."""

from __future__ import annotations

import asyncio
import html
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("textual", reason="Textual is an extra")

from textual.pilot import Pilot

from dbt_disco.cluster.client import Client
from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.configuration import MachineConfiguration
from dbt_disco.cluster.member import MemberState
from dbt_disco.cluster.top.application import TopApplication
from dbt_disco.cluster.top.vm_table import VmTable
from tests.dbt_disco.cluster.clusters import TIMEOUT, member, running, serving, wait_for_state
from tests.dbt_disco.virtual_machine.bare_programs import ECHO, ENDLESS, HELLO, raw_image

pytestmark = pytest.mark.timeout(200)

CELL_WIDTH = 12.2
"""Of a character in Textual's pictures."""
Script = Callable[[TopApplication, Pilot[str]], Awaitable[None]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("images")
    echo, printing = directory / "echo", directory / "printing"
    echo.write_bytes(raw_image(*ECHO))
    printing.write_bytes(raw_image(*ENDLESS["printing"]))
    members = [member("echo", echo), member("hello", HELLO), member("printing", printing, home_node=1)]
    with running(members, MachineConfiguration(2, 1, 32 << 20)) as cluster:
        wait_for_state(cluster.members["echo"], MemberState.IDLE)
        wait_for_state(cluster.members["hello"], MemberState.STOPPED)
        yield cluster


@pytest.fixture
def path(cluster: Cluster, tmp_path: Path) -> Iterator[Path]:
    with serving(cluster, tmp_path / "socket") as path:
        yield path


def screen(app: TopApplication) -> str:
    """Everything that is to be seen, from the picture that Textual makes."""
    rows: dict[float, str] = {}
    parts = r'<text [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>'
    for left, top, text in re.findall(parts, app.export_screenshot()):
        column = round(float(left) / CELL_WIDTH)
        rows[float(top)] = rows.get(float(top), "").ljust(column) + html.unescape(text).replace("\xa0", " ")
    return "\n".join(rows[top] for top in sorted(rows))


def play(path: Path, script: Script, size: tuple[int, int] = (100, 30)) -> str | None:
    """Run the application while somebody sits in front of it; its result."""

    async def run() -> str | None:
        with Client(path) as client:
            app = TopApplication(client, interval=0.3)
            async with app.run_test(size=size, notifications=True) as pilot:
                await wait_for(pilot, lambda: len(lines(app)) == 3, "virtual machines")
                await script(app, pilot)
            return app.return_value

    return asyncio.run(run())


async def wait_for(pilot: Pilot[str], condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"{what}\n{screen(pilot.app)}"  # type: ignore[arg-type]
        await pilot.pause(0.1)


def lines(app: TopApplication) -> list[list[str]]:
    """The table's."""
    table = app.query_one(VmTable)
    return [[cell.plain for cell in table.get_row_at(row)] for row in range(table.row_count)]


def names(app: TopApplication) -> list[str]:
    return [line[0] for line in lines(app)]


def test_machine_table_and_details_fit_the_smallest_screen(path: Path) -> None:
    async def script(app: TopApplication, pilot: Pilot[str]) -> None:
        await wait_for(pilot, lambda: "MB touched" in screen(app), "details of the first one")
        await wait_for(pilot, lambda: "Quit" in screen(app), "the keys")
        shown = screen(app)
        for text in ("cluster test, up", "3 virtual machines", "CPU 0", "CPU 1", "node 0", "node 1"):
            assert text in shown
        for text in ("VM▲", "STATE", "CPU%", "MIPS", "PRIVATE", "SHARED", "TOUCHED", "disk cache", "regions"):
            assert text in shown
        assert [line[:3] for line in lines(app)] == [
            ["echo", "idle", "0"],
            ["hello", "stopped", "0"],
            ["printing", "running", "1"],
        ]
        assert lines(app)[1][-1] == "-"
        table = app.query_one(VmTable)
        assert table.size.height >= 5 and table.virtual_size.width <= 80
        await pilot.press("down", "down")
        await wait_for(pilot, lambda: "device " in screen(app), "the exits of `printing`")
        await pilot.press("up")
        await wait_for(pilot, lambda: "the guest reset the machine" in screen(app), "the reason")

    assert play(path, script, size=(80, 24)) is None


def test_sorting_by_keys_and_clicks_leaves_the_cursor_where_it_is(path: Path) -> None:
    async def script(app: TopApplication, pilot: Pilot[str]) -> None:
        table = app.query_one(VmTable)
        await pilot.press("down", "down")
        assert table.selected == "printing"
        await pilot.press("r")
        assert names(app) == ["printing", "hello", "echo"]
        await pilot.press("s")
        assert [line[1] for line in lines(app)] == ["idle", "stopped", "running"][:1] + ["running", "stopped"]
        await pilot.press("s")
        assert names(app)[0] == "printing" and "NODE▼" in screen(app)
        table.sort_by("TOUCHED")
        assert names(app)[-1] == "hello"  # has nothing any more
        assert table.selected == "printing"
        await pilot.click(VmTable, offset=(2, 0))
        await wait_for(pilot, lambda: "VM▲" in screen(app), "sorted by name")
        await pilot.click(VmTable, offset=(2, 0))
        await wait_for(pilot, lambda: "VM▼" in screen(app), "sorted by name, from Z")
        assert table.selected == "printing" and names(app) == ["printing", "hello", "echo"]

    play(path, script)


def test_a_virtual_machine_is_paused_and_continued(path: Path, cluster: Cluster) -> None:
    async def script(app: TopApplication, pilot: Pilot[str]) -> None:
        await pilot.press("p")
        await wait_for(pilot, lambda: lines(app)[0][1] == "paused", "paused")
        assert cluster.members["echo"].state is MemberState.PAUSED
        await pilot.press("p")
        await wait_for(pilot, lambda: lines(app)[0][1] == "idle", "idle again")
        await pilot.press("down", "p")
        await wait_for(pilot, lambda: "does not run" in screen(app), "a refusal")
        await pilot.press("c")
        await wait_for(pilot, lambda: "cluster console hello" in screen(app), "how to get at the console")

    play(path, script)


def test_the_end_of_the_cluster_ends_it_with_a_line(path: Path) -> None:
    async def script(app: TopApplication, pilot: Pilot[str]) -> None:
        with Client(path) as other:
            other.execute("down")
        await wait_for(pilot, lambda: app.return_value is not None, "the end")

    assert play(path, script) == "cluster test has ended"


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_keys_that_end_it(path: Path, key: str) -> None:
    async def script(app: TopApplication, pilot: Pilot[str]) -> None:
        await pilot.press(key)
        await wait_for(pilot, lambda: not app.is_running, "the end")

    assert play(path, script) is None
