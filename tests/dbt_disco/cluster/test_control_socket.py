"""The control socket: its language, what it makes of nonsense, and clients that come and go."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dbt_disco.cluster.client import Client, Refused
from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.member import MemberState
from dbt_disco.cluster.protocol import LONGEST_LINE, packed, unpacked
from dbt_disco.cluster.socket_file import listen
from dbt_disco.command_error import CommandError
from tests.dbt_disco.cluster.clusters import member, running, serving, wait_for_state, wait_until
from tests.dbt_disco.virtual_machine.bare_programs import ECHO, ENDLESS, raw_image

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    echo, printing = tmp_path / "echo", tmp_path / "printing"
    echo.write_bytes(raw_image(*ECHO))
    printing.write_bytes(raw_image(*ENDLESS["printing"]))
    with running([member("echo", echo), member("printing", printing)]) as cluster:
        yield cluster


@pytest.fixture
def path(cluster: Cluster, tmp_path: Path) -> Iterator[Path]:
    with serving(cluster, tmp_path / "socket") as path:
        yield path


class RawClient:
    """Sends any bytes."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self._file = self.socket.makefile("rb")
        self.greeting = self.receive()

    def receive(self) -> Any:
        return json.loads(self._file.readline())

    def ask(self, text: bytes) -> Any:
        self.socket.sendall(text + b"\n")
        while "event" in (answer := self.receive()):
            pass
        return answer

    def close(self) -> None:
        self._file.close()
        self.socket.close()


def test_the_socket_is_its_owners_alone(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_greeting_and_answers_with_ids(path: Path) -> None:
    client = RawClient(path)
    about = client.greeting["dbt-disco"]
    assert about["protocol"] == 1 and about["cluster"] == "test"
    answer = client.ask(b'{"execute": "query-vms", "id": {"any": [1]}}')
    assert answer["id"] == {"any": [1]}
    assert [vm["vm"] for vm in answer["return"]] == ["echo", "printing"]
    commands = {
        command["name"]: command["arguments"]
        for command in client.ask(b'{"execute":"query-commands"}')["return"]
    }
    assert commands["vm-kill"] == {"vm": "str"}
    client.close()


@pytest.mark.parametrize(
    ("text", "error_class", "description"),
    [
        (b"nonsense", "Syntax", "no JSON"),
        (b"\xff\xfe\x00", "Syntax", "no JSON"),
        (b"[" * 100_000, "Syntax", "no JSON"),
        (b"[1]", "Syntax", "object"),
        (b'{"arguments": {}}', "Syntax", "execute"),
        (b'{"execute": "query-vms", "extra": 1}', "Syntax", "extra"),
        (b'{"execute": "fly"}', "CommandNotFound", "fly"),
        (b'{"execute": ["a"]}', "CommandNotFound", "no command"),
        (b'{"execute": "query-vms", "arguments": []}', "InvalidArguments", "object"),
        (b'{"execute": "query-vms", "arguments": {"a": 1}}', "InvalidArguments", "'a'"),
        (b'{"execute": "vm-kill"}', "InvalidArguments", "'vm'"),
        (b'{"execute": "vm-kill", "arguments": {"vm": 5}}', "InvalidArguments", "str"),
        (b'{"execute": "vm-kill", "arguments": {"vm": "x"}}', "VmNotFound", "echo, printing"),
        (b'{"execute": "vm-continue", "arguments": {"vm": "echo"}}', "InvalidState", "not paused"),
        (b'{"execute": "vm-start", "arguments": {"vm": "echo"}}', "InvalidState", "runs already"),
        (
            b'{"execute": "console-input", "arguments": {"vm": "echo", "data": "*"}}',
            "InvalidArguments",
            "base64",
        ),
        (b"x" * (LONGEST_LINE + 1), "Syntax", "a line is at most"),
        (b"x" * (3 * LONGEST_LINE), "Syntax", "a line is at most"),
    ],
)
def test_nonsense_is_answered_and_the_connection_goes_on(
    path: Path, cluster: Cluster, text: bytes, error_class: str, description: str
) -> None:
    for each in cluster.members.values():
        wait_for_state(each, MemberState.RUNNING, MemberState.IDLE)
    client = RawClient(path)
    answer = client.ask(text)
    assert answer["error"]["class"] == error_class
    assert description in answer["error"]["description"]
    assert "return" in client.ask(b'\n{"execute": "query-vms"}')
    client.close()


def test_a_life_through_the_socket(path: Path, cluster: Cluster) -> None:
    wait_for_state(cluster.members["echo"], MemberState.IDLE)
    with Client(path) as client, Client(path) as watcher:

        def state() -> str:
            return str(client.execute("query-vms")[0]["state"])

        client.execute("vm-pause", vm="echo")
        assert state() == "paused"
        client.execute("vm-continue", vm="echo")
        client.execute("console-subscribe", vm="echo", history=True)
        client.execute("console-input", vm="echo", data=packed(b"hello"))
        shown = b""
        while shown != b"hello":
            event = client.next_event()
            if event["event"] == "CONSOLE":
                shown += unpacked(event["data"]["data"])
        client.execute("vm-kill", vm="echo")
        assert state() == "stopped"
        client.execute("vm-start", vm="echo")
        client.execute("vm-stop", vm="echo")
        with pytest.raises(Refused, match="echo is stopped: it does not run"):
            client.execute("vm-stop", vm="echo")
        assert client.execute("audit") == {"disagreements": []}
        states = []
        while states[-2:] != ["running", "stopped"] or len(states) < 5:
            data = watcher.next_event()["data"]
            if data["vm"] == "echo":
                states.append(data["state"])
        assert states == ["paused", "running", "stopped", "running", "stopped"]


def test_statistics_are_numbers_that_grow(path: Path, cluster: Cluster) -> None:
    wait_until(lambda: cluster.members["printing"].processor_time() > 0, "processor time")
    with Client(path) as client:

        def grown(since: dict[str, Any]) -> dict[str, Any]:
            """What the statistics are once those of the one that prints have grown."""
            found = since

            def has_grown() -> bool:
                nonlocal found
                found = client.execute("query-statistics")
                before, now = since["vms"][1], found["vms"][1]
                grows = now["exits"].get("device", 0) > before["exits"].get("device", 0)
                return grows and now["cpu"] > before["cpu"]

            wait_until(has_grown, "statistics that grow")
            return found

        first = grown({"vms": [{}, {"exits": {}, "cpu": 0}]})
        second = grown(first)
    one, other = first["vms"][1], second["vms"][1]
    assert one["vm"] == other["vm"] == "printing"
    assert 0 < other["memory_use"]["touched"] <= other["memory"] + (1 << 20)
    assert sum(cpu["cpu"] for cpu in second["cpus"]) >= one["cpu"]
    assert sum(second["memory"]["in_use_of_nodes"]) == second["memory"]["in_use"] > 0


def test_clients_that_vanish_or_do_not_read_harm_nobody(path: Path) -> None:
    for _ in range(30):
        client = RawClient(path)
        client.socket.sendall(b'{"execute": "query-vms"}\n' * 50 + b'{"execute"')
        client.close()
    lazy = RawClient(path)
    lazy.ask(b'{"execute": "console-subscribe", "arguments": {"vm": "printing", "history": true}}')
    clients = [Client(path) for _ in range(50)]
    for other in clients:
        assert len(other.execute("query-vms")) == 2
        other.close()
    lazy.close()
    with Client(path) as client:
        assert len(client.execute("query-vms")) == 2


def test_only_one_server_at_a_socket_but_one_that_was_killed_leaves_room(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="another cluster answers there"):
        listen(path)
    left = tmp_path / "left"
    listen(left).close()
    assert left.exists()
    listen(left).close()
    other = tmp_path / "file"
    other.write_text("not ours")
    with pytest.raises(CommandError, match="in use"):
        listen(other)
    assert other.read_text() == "not ours"
    with pytest.raises(CommandError, match="too long"):
        listen(tmp_path / ("x" * 200))
