"""What `--strace` shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.dbt_disco.linux.elf_builder import ElfBuilder

REPOSITORY = Path(__file__).resolve().parents[3]
SYSCALL = 0x0000_000C


def _call(number: int, *arguments: int) -> tuple[int, ...]:
    """Instructions that make a system call with 16-bit signed arguments."""
    loads = [0x2404_0000 + (index << 16) | argument & 0xFFFF for index, argument in enumerate(arguments)]
    return (*loads, 0x2402_0000 | number, SYSCALL)


def test_calls_errors_unknown_calls_signals_and_the_end(tmp_path: Path) -> None:
    code = (
        *_call(4003, -1, 0, 16),  # read(-1, NULL, 16)
        *_call(4045, 0),  # brk
        *_call(4090, 0, 4096, 3, 0x802, -1, 0),  # mmap; the arguments on the stack are zero
        *_call(4005, 8, 0x109),  # open(8, …): no string there
        *_call(4999, 1, 2),
        *_call(4002),  # fork
        0xAC00_0004,  # sw zero, 4(zero)
    )
    path = tmp_path / "program"
    path.write_bytes(ElfBuilder(code=code).build())
    path.chmod(0o755)
    command = [sys.executable, "-m", "dbt_disco", "run", "--engine", "interpreter", "--strace", str(path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == -11
    lines = [line.partition(" ")[2] if line[:1].isdigit() else line for line in done.stderr.splitlines()]
    assert lines[0] == "read(-1,NULL,16) = -1 EBADF (Bad file descriptor)"
    assert lines[1] == "brk(NULL) = 0x401000"
    assert lines[2].startswith("mmap(NULL,4096,PROT_READ|PROT_WRITE,MAP_PRIVATE|MAP_ANONYMOUS,")
    assert lines[3].startswith("open(0x8,O_WRONLY|O_APPEND|O_CREAT,0o") and "EFAULT (Bad address)" in lines[3]
    assert lines[4].startswith("syscall_4999(0x1,0x2,") and "ENOSYS" in lines[4]
    assert lines[5].startswith("fork(") and "ENOSYS" in lines[5]
    assert lines[6].startswith("--- SIGSEGV {si_code=1, si_addr=0x4} at pc 0x")
    assert lines[-1] == "+++ killed by SIGSEGV +++"
