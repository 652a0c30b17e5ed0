"""A guest process whose vCPU never runs: its system calls are made from Python."""

from __future__ import annotations

import ctypes

from dbt_disco.linux.call_numbers import NAMES
from dbt_disco.linux.errno_numbers import guest_errno
from dbt_disco.linux.loader import LoadedProgram
from dbt_disco.linux.memory_usage import STACK
from dbt_disco.linux.process import LinuxProcess
from runtime.address_space import READ, WRITE, AddressSpace
from translator.state import CpuState, Stop

NUMBERS = {name: number for number, name in NAMES.items()}
DATA, DATA_SIZE = 0x10_0000, 0x1_0000
"""Memory for arguments."""
BREAK = 0x20_0000
STACK_TOP, STACK_SIZE = 0x7FFF_7000, 8 << 20
SEARCH_TOP = STACK_TOP - (129 << 20)
_TEXT = DATA + 0x8000


class IdleVcpu:
    """A vCPU of which only the registers are used."""

    def __init__(self, space: AddressSpace, big_endian: bool) -> None:
        self.state = CpuState()
        self.address_space = space
        self.big_endian = big_endian
        self.wide_fpu = False
        self.precise_faults = True

    def run(self) -> Stop:
        raise AssertionError("not to be run")

    def request_stop(self) -> None:
        """Nothing runs."""


class IdleProcess:
    """The process, with memory for arguments, a stack, and nothing else."""

    def __init__(self, *, big_endian: bool = False) -> None:
        self.space = AddressSpace()
        self.space.search_top = SEARCH_TOP
        self.space.map_anonymous(DATA, DATA_SIZE, READ | WRITE)
        self.space.map_anonymous(STACK_TOP - STACK_SIZE, STACK_SIZE, READ | WRITE, name=STACK)
        program = LoadedProgram(
            path=b"/bin/program",
            arguments=(b"program", b"argument"),
            big_endian=big_endian,
            wide_fpu=False,
            entry=0,
            stack_pointer=STACK_TOP - 64,
            stack_top=STACK_TOP,
            program_break=BREAK,
            auxiliary_vector=b"",
            environment=(b"NAME=value",),
        )
        vcpu = IdleVcpu(self.space, big_endian)
        self.process = LinuxProcess(vcpu, program)
        self.memory = self.process.memory
        self.state = vcpu.state
        self.state.gpr[29] = program.stack_pointer

    def call(self, name: str, *arguments: int | bytes) -> int:
        """Make a system call; `bytes` are put into memory. The result, or minus the guest's error number."""
        state, text = self.state, _TEXT
        words = []
        for argument in arguments:
            if isinstance(argument, bytes):
                self.space.write(text, argument + b"\0")
                words.append(text)
                text += (len(argument) + 16) & ~15
            else:
                words.append(argument & 0xFFFF_FFFF)
        state.gpr[2] = NUMBERS[name]
        for register, word in enumerate(words[:4], 4):
            state.gpr[register] = word
        for index, word in enumerate(words[4:]):
            self.memory.set_word(state.gpr[29] + 16 + 4 * index, word)
        self.process._system_call()
        return -state.gpr[2] if state.gpr[7] else int(state.gpr[2])

    def read_file(self, path: str) -> str:
        """What the guest reads from a file, all at once."""
        descriptor = self.call("open", path.encode(), 0, 0)
        assert descriptor >= 0, path
        pieces = []
        while (size := self.call("read", descriptor, DATA, 0x4000)) > 0:
            pieces.append(self.space.read(DATA, size))
        self.call("close", descriptor)
        return b"".join(pieces).decode()

    def touch(self, address: int) -> None:
        """Have the host give the page memory."""
        ctypes.memset(self.space.base + address, 1, 1)

    def close(self) -> None:
        self.space.close()


def error(number: int) -> int:
    """What `IdleProcess.call` returns for a host error number."""
    return -guest_errno(number)
