"""The devices of a QEMU machine, driven through the qtest protocol (QEMU's softmmu/qtest.c) instead of by a CPU."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from types import TracebackType
from typing import Final

_ACCESS_LETTER: Final = {1: "b", 2: "w", 4: "l"}


class QemuDevices:
    """Loads and stores on physical addresses.

    QEMU's virtual clock, which timers follow, stands still if "-S" is among the options.
    """

    def __init__(self, program: str, machine: str, *options: str) -> None:
        command = [
            *(program, "-machine", machine, "-display", "none", "-nodefaults"),
            *("-qtest", "stdio", "-qtest-log", "none", *options),
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def __enter__(self) -> QemuDevices:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def read(self, address: int, size: int) -> int:
        return int(self._ask(f"read{_ACCESS_LETTER[size]}", hex(address))[0], 0)

    def write(self, address: int, size: int, value: int) -> None:
        self._ask(f"write{_ACCESS_LETTER[size]}", hex(address), hex(value))

    def _ask(self, *words: str) -> Sequence[str]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().split()
        assert answer and answer[0] == "OK", f"QEMU answers {answer} to {words}"
        return answer[1:]
