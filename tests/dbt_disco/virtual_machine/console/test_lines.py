"""Serial lines to files, terminals and connections, with a guest that sends back what it receives."""

from __future__ import annotations

import os
import socket
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.console.file_line import FileLine
from dbt_disco.virtual_machine.console.line import DescriptorLine, LineError
from dbt_disco.virtual_machine.console.option import open_line, parse_line
from dbt_disco.virtual_machine.console.pty_line import PtyLine
from dbt_disco.virtual_machine.console.tcp_line import TcpLine, TcpOptions
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine
from tests.dbt_disco.virtual_machine.bare_programs import ECHO, ENDLESS, HELLO, monitor_call, raw_image

TIMEOUT = 30


@contextmanager
def running(kernel: Path, line: DescriptorLine) -> Iterator[VirtualMachine]:
    """A guest on a thread, with its serial line; stopped at the end if it has not ended."""
    machine = VirtualMachine(Configuration(kernel, memory_size=4 << 20), line)

    def run() -> None:
        line.start(machine.surroundings)
        machine.run()
        line.flush()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield machine
        thread.join(TIMEOUT)
        assert not thread.is_alive()
    finally:
        machine.stop(Outcome(Ending.STOPPED))
        thread.join()
        line.close()
        machine.close()


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    kernel = tmp_path / "echo"
    kernel.write_bytes(raw_image(*ECHO))
    return kernel


@pytest.fixture
def printing(tmp_path: Path) -> Path:
    kernel = tmp_path / "printing"
    kernel.write_bytes(raw_image(*ENDLESS["printing"]))
    return kernel


def read(descriptor: int, length: int) -> bytes:
    data = b""
    while len(data) < length:
        data += os.read(descriptor, length - len(data))
    return data


def receive(connection: socket.socket, length: int) -> bytes:
    return connection.recv(length, socket.MSG_WAITALL)


def receive_all(connection: socket.socket, length: int) -> bytes:
    """So many bytes; MSG_WAITALL means nothing on a socket with a time limit."""
    data = b""
    while len(data) < length and (part := connection.recv(length - len(data))):
        data += part
    return data


# Files.


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_bytes(b"what was there before, and is longer than that")
    with running(HELLO, FileLine(path)):
        pass
    assert path.read_bytes() == b"Hello from bare metal.\n"


def test_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(LineError, match=r"nowhere.*No such file"):
        FileLine(tmp_path / "nowhere" / "output")


# Pseudoterminals.


def test_pty(echo: Path) -> None:
    line = PtyLine()
    with running(echo, line):
        descriptor = os.open(line.name, os.O_RDWR | os.O_NOCTTY)
        os.write(descriptor, b"abc\r\x03")
        assert read(descriptor, 5) == b"abc\r\x03"
        os.close(descriptor)
        descriptor = os.open(line.name, os.O_RDWR | os.O_NOCTTY)  # another one
        tty.setraw(descriptor)
        os.write(descriptor, bytes(range(256)).replace(b"q", b"") + b"q")
        assert read(descriptor, 256) == bytes(range(256)).replace(b"q", b"") + b"q"
        os.close(descriptor)


def test_output_to_a_pty_that_nobody_reads_is_lost(printing: Path) -> None:
    line = PtyLine()
    with running(printing, line) as machine:
        time.sleep(0.3)
        before = time.monotonic()
        machine.stop(Outcome(Ending.STOPPED))
        assert time.monotonic() - before < 1


# Connections.


def test_server_takes_one_client_after_the_other(echo: Path) -> None:
    line = TcpLine(TcpOptions("127.0.0.1", 0, server=True, wait=False))
    with running(echo, line):
        for text in (b"first", b"second", b"third, and q"):
            with socket.create_connection(("127.0.0.1", line.port), TIMEOUT) as client:
                client.sendall(text)
                assert receive(client, len(text)) == text


def test_server_waits_for_its_first_client(capsys: pytest.CaptureFixture[str]) -> None:
    line = TcpLine(TcpOptions("127.0.0.1", 0, server=True))
    port = line.port
    with running(HELLO, line) as machine:
        time.sleep(0.1)
        assert sum(machine.vcpu.stops.values()) == 0
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as client:
            assert receive(client, 100) == b"Hello from bare metal.\n"
    assert f"waiting for a connection to port {port}" in capsys.readouterr().err


def test_a_waiting_server_can_be_stopped() -> None:
    line = TcpLine(TcpOptions("127.0.0.1", 0, server=True))
    with running(HELLO, line) as machine:
        time.sleep(0.1)
        machine.stop(Outcome(Ending.STOPPED))


def test_client(echo: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        line = TcpLine(TcpOptions("localhost", server.getsockname()[1]))
        with running(echo, line):
            connection, _ = server.accept()
            connection.sendall(b"abcq")
            assert receive(connection, 4) == b"abcq"
            connection.close()


def test_client_without_a_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(LineError, match=f"{port}: Connection refused"):
        TcpLine(TcpOptions("127.0.0.1", port))


def test_a_guest_goes_on_when_its_connection_is_reset(printing: Path) -> None:
    line = TcpLine(TcpOptions("127.0.0.1", 0, server=True, wait=False))
    with running(printing, line) as machine:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", line.port), TIMEOUT) as client:
                assert receive_all(client, 1000) == bytes(1000)
        machine.stop(Outcome(Ending.STOPPED))


def test_a_client_that_does_not_read_holds_the_guest_up_and_can_be_left(tmp_path: Path) -> None:
    kernel = tmp_path / "kernel"
    much = ("lui r4, 0x8020", "lui r5, 1", *monitor_call(1))
    kernel.write_bytes(raw_image("again:", *much, "beq r0, r0, again", "nop"))
    line = TcpLine(TcpOptions("127.0.0.1", 0, server=True, wait=False))
    with (
        running(kernel, line) as machine,
        socket.create_connection(("127.0.0.1", line.port), TIMEOUT) as client,
    ):
        deadline = time.monotonic() + TIMEOUT
        exits = -1
        while exits != sum(machine.vcpu.stops.values()):
            assert time.monotonic() < deadline
            exits = sum(machine.vcpu.stops.values())
            time.sleep(0.3)
        assert receive(client, 1 << 16) == bytes(1 << 16)  # nothing was lost
        machine.stop(Outcome(Ending.STOPPED))


# Options.


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("stdio", "stdio"),
        ("pty", "pty"),
        ("file:a,b:c", Path("a,b:c")),
        ("tcp::4444", TcpOptions("localhost", 4444)),
        ("tcp:host:1", TcpOptions("host", 1)),
        ("tcp:[::1]:65535", TcpOptions("::1", 65535)),
        ("tcp::4444,server", TcpOptions("", 4444, server=True)),
        ("tcp::4444,server=on,wait=off", TcpOptions("", 4444, server=True, wait=False)),
        ("tcp:0.0.0.0:4444,server,nowait", TcpOptions("0.0.0.0", 4444, server=True, wait=False)),
        ("tcp::4444,server=off,wait", TcpOptions("localhost", 4444)),
    ],
)
def test_options(text: str, option: object) -> None:
    assert parse_line(text) == option


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stdin",
        "stdio:",
        "pty:x",
        "file:",
        "file",
        "tcp:",
        "tcp:4444",
        "tcp:host:",
        "tcp:host:x",
        "tcp:host:65536",
        "tcp:host:-1",
        "tcp:host:1,foo",
        "tcp:host:1,wait=maybe",
        "udp:host:1",
    ],
)
def test_options_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"it is|is not|is none of"):
        parse_line(text)


def test_pty_says_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    line = open_line("pty", "serial line")
    assert isinstance(line, PtyLine)
    assert capsys.readouterr().err == f"dbt-disco: the serial line is {line.name}\n"
    line.close()
