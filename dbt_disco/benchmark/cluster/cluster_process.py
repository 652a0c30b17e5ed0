"""A cluster as its users run it: `dbt-disco cluster up` in a process of its own, reached by its control socket."""

from __future__ import annotations

import json
import select
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dbt_disco.benchmark.engines import own_environment
from dbt_disco.benchmark.scenarios.guest_process import GuestError, GuestProcess
from dbt_disco.benchmark.scenarios.settling import settle
from dbt_disco.cluster.client import Client
from dbt_disco.cluster.protocol import packed, unpacked
from dbt_disco.command_error import CommandError

if TYPE_CHECKING:
    import psutil

_LOOK: Final = 0.02
_OVER: Final = ("failed", "stopped")


class ClusterProcess:
    """A context manager, which ends the cluster. Methods raise GuestError, and CommandError if the cluster has gone."""

    def __init__(self, description: str, directory: Path, cache: Path, timeout: float) -> None:
        """`description` is the TOML file; `timeout`: seconds that everything may take altogether."""
        file, self.socket = directory / "cluster.toml", directory / "socket"
        file.write_text(description)
        command = [
            sys.executable,
            "-m",
            "dbt_disco",
            "cluster",
            "up",
            str(file),
            "--socket",
            str(self.socket),
        ]
        environment = {**own_environment(), "XDG_CACHE_HOME": str(cache)}
        self.process: Final = GuestProcess(command, environment, timeout=timeout)
        self._deadline: Final = time.monotonic() + timeout
        self._output: dict[str, bytearray] = {}
        self._read_to: dict[str, int] = {}
        try:
            self._client: Final = self._connect()
            for vm in self._client.execute("query-vms"):
                self._output[vm["vm"]], self._read_to[vm["vm"]] = bytearray(), 0
                self._client.execute("console-subscribe", vm=vm["vm"], history=True)
        except BaseException:
            self.process.__exit__()
            raise

    def __enter__(self) -> ClusterProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self.process.__exit__()

    def _connect(self) -> Client:
        while True:
            try:
                return Client(self.socket)
            except CommandError:
                if time.monotonic() > self._deadline or self.host_process is None:
                    raise GuestError(f"the cluster does not answer: {self.process.errors()}") from None
            time.sleep(_LOOK)

    @property
    def host_process(self) -> psutil.Process | None:
        """The monitor's process: without its compile worker."""
        import psutil

        try:
            found = psutil.Process(self.process.pid)
            return None if found.status() == psutil.STATUS_ZOMBIE else found
        except psutil.NoSuchProcess:
            return None

    def processor_seconds(self) -> float:
        """Of the monitor's process up to now, without its compile worker."""
        found = self.host_process
        if found is None:
            raise GuestError(f"the cluster has gone: {self.process.errors()}")
        times = found.cpu_times()
        return float(times.user + times.system)

    @staticmethod
    def now() -> float:
        """In the terms of `start` and `wait_for`."""
        return time.monotonic()

    def execute(self, command: str, **arguments: Any) -> Any:
        """A command of the control socket."""
        return self._client.execute(command, **arguments)

    def start(self, vm: str) -> float:
        """Start a virtual machine; when that was, in terms of `now`."""
        before = time.monotonic()
        self.execute("vm-start", vm=vm)
        while self._client.has_event():  # of an earlier life
            self._take_event("")
        return before

    def send(self, vm: str, text: str) -> None:
        """Type something on a console."""
        data = text.encode()
        while data:
            taken = self.execute("console-input", vm=vm, data=packed(data))["taken"]
            data = data[taken:]
            if data and not taken:
                self._check_time(vm)
                time.sleep(_LOOK)

    def wait_for(self, vm: str, text: str) -> tuple[str, float]:
        """Until a console shows `text`, from where the last call found what it waited for: what it has shown before,
        and when that was, in terms of `now`."""
        wanted = text.encode()
        while (found := self._output[vm].find(wanted, self._read_to[vm])) < 0:
            self._take_event(vm)
        shown = bytes(self._output[vm][self._read_to[vm] : found])
        self._read_to[vm] = found + len(wanted)
        return shown.decode(errors="replace"), time.monotonic()

    def wait_for_end(self, vm: str) -> None:
        """Until a virtual machine has ended."""
        while self._state(vm)["state"] not in _OVER:
            self._check_time(vm)
            time.sleep(_LOOK)

    def settle(self, machines: int) -> None:
        """Wait until what was hot has been compiled, and the guests idle; not for ever."""
        settle(self.process, max(machines, 2))

    def _state(self, vm: str) -> dict[str, Any]:
        found: dict[str, Any] = next(each for each in self.execute("query-vms") if each["vm"] == vm)
        return found

    def _take_event(self, vm: str) -> None:
        if not self._client.has_event():
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([self._client], [], [], left)[0]:
                self._check_time(vm)
        event = self._client.next_event()
        data = event["data"]
        if event["event"] == "CONSOLE":
            self._output[data["vm"]] += unpacked(data["data"])
        elif event["event"] == "VM_STATE" and data["vm"] == vm and data["state"] in _OVER:
            raise GuestError(f"{vm} has {data['state']}: {data['reason']}; {self._last_words(vm)}")

    def _check_time(self, vm: str) -> None:
        if time.monotonic() >= self._deadline:
            raise GuestError(f"{vm} takes too long; {self._last_words(vm)}")

    def _last_words(self, vm: str) -> str:
        lines = self._output[vm].decode(errors="replace").strip().splitlines()
        return f"its last words: {lines[-1].strip()}" if lines else "it has said nothing"


def machine(nodes: int, memory_per_node: int, **others: object) -> str:
    """The first lines of a cluster's TOML file; sizes in bytes."""
    values = {"nodes": nodes, "memory_per_node": f"{memory_per_node >> 20}M", **others}
    return _table("machine", values)


def disk(name: str, image: Path) -> str:
    """A disk that all share."""
    return _table(f"disks.{name}", {"image": str(image)})


def virtual_machine(
    name: str, kernel: Path, *, disks: Sequence[str] = (), memory: int, append: str = "", **others: object
) -> str:
    """A virtual machine, which is not started with the cluster."""
    values = {
        "kernel": str(kernel),
        "disks": list(disks),
        "memory": f"{memory >> 20}M",
        "append": append,
        "autostart": False,
    }
    return _table(f"vms.{name}", values | others)


def _table(name: str, values: dict[str, object]) -> str:
    """JSON's texts, numbers, lists and truth values are TOML's, too."""
    lines = (f"{key} = {json.dumps(value)}" for key, value in values.items())
    return "\n".join((f"[{name}]", *lines, "", ""))
