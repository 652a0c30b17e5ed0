"""The files under /proc that tell of the guest and not of the process and the machine that run it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from dbt_disco.linux.cpu_information import cpu_information
from dbt_disco.linux.guest_path import own_process_file
from dbt_disco.linux.process_status import stat, statm, status
from runtime.address_space import EXEC, READ, WRITE

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess


def _maps(process: LinuxProcess) -> bytes:
    lines = []
    for region in process.space.regions:
        bits = region.protection
        flags = "".join(
            (
                "r" if bits & READ else "-",
                "w" if bits & WRITE else "-",
                "x" if bits & EXEC else "-",
                "s" if region.shared else "p",
            )
        )
        device = f"{os.major(region.device):02x}:{os.minor(region.device):02x}"
        offset = region.offset if region.is_file else 0
        line = f"{region.start:08x}-{region.end:08x} {flags} {offset:08x} {device} {region.inode}"
        lines.append(f"{line:<48} {region.name}" if region.name else line)
    return os.fsencode("\n".join(lines) + "\n")


def _command_line(process: LinuxProcess) -> bytes:
    return b"".join(argument + b"\0" for argument in process.program.arguments)


def _environment(process: LinuxProcess) -> bytes:
    return b"".join(variable + b"\0" for variable in process.program.environment)


def _auxiliary_vector(process: LinuxProcess) -> bytes:
    return process.program.auxiliary_vector


def _name(process: LinuxProcess) -> bytes:
    return process.command_name + b"\n"


_FILES: Final[dict[str, Callable[[LinuxProcess], bytes]]] = {
    "maps": _maps,
    "cmdline": _command_line,
    "environ": _environment,
    "auxv": _auxiliary_vector,
    "comm": _name,
    "status": status,
    "stat": stat,
    "statm": statm,
}
"""By name under /proc/self."""
_SYSTEM_FILES: Final = {b"/proc/cpuinfo": cpu_information}


def open_guests_file(process: LinuxProcess, path: bytes, close_on_exec: bool) -> int | None:
    """A descriptor of the file's present contents; None when the host's file is the right one."""
    producer = _SYSTEM_FILES.get(path) or _FILES.get(own_process_file(process, path) or "")
    if producer is None:
        return None
    fd = os.memfd_create(os.path.basename(os.fsdecode(path)), os.MFD_CLOEXEC if close_on_exec else 0)
    data = producer(process)
    while data:
        data = data[os.write(fd, data) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
