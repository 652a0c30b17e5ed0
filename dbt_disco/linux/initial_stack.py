"""The stack a program starts with: argc, argv, envp, the auxiliary vector, and the strings they point to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from dbt_disco.linux.guest_memory import GuestMemory
from dbt_disco.linux.load_error import LoadError
from runtime.address_space import PAGE_SIZE

AT_NULL: Final = 0
AT_PHDR: Final = 3
AT_PHENT: Final = 4
AT_PHNUM: Final = 5
AT_PAGESZ: Final = 6
AT_BASE: Final = 7
AT_FLAGS: Final = 8
AT_ENTRY: Final = 9
AT_UID: Final = 11
AT_EUID: Final = 12
AT_GID: Final = 13
AT_EGID: Final = 14
AT_HWCAP: Final = 16
AT_CLKTCK: Final = 17
AT_SECURE: Final = 23
AT_BASE_PLATFORM: Final = 24
AT_RANDOM: Final = 25
AT_EXECFN: Final = 31

_PLATFORM: Final = b"mips32r2"
_HARDWARE_CAPABILITIES: Final = 0  # HWCAP_MIPS_*: R6, MSA, CRC32, MIPS16, … of which there is none


class InitialStack:
    """Builds downwards from `top`; `GuestFault` is impossible as long as it fits the mapped stack."""

    def __init__(self, memory: GuestMemory, top: int, room: int) -> None:
        self._memory = memory
        self._top = top
        self._room = room

    def build(
        self,
        path: bytes,
        arguments: Sequence[bytes],
        environment: Sequence[bytes],
        auxiliary: dict[int, int],
    ) -> tuple[int, bytes]:
        """Write everything; returns the stack pointer and the auxiliary vector's bytes (/proc/self/auxv)."""
        strings = [path, _PLATFORM, *environment, *arguments]
        size = sum(map(len, strings)) + len(strings)
        words = 1 + len(arguments) + 1 + len(environment) + 1 + 2 * (len(auxiliary) + 10)
        if size + 4 * words + PAGE_SIZE > self._room // 4:  # Linux's limit: a quarter of the stack
            raise LoadError(path, "the arguments and environment are too long for the stack")
        address = self._top - 4  # Linux leaves a null word at the very end
        places: dict[str, list[int]] = {"arguments": [], "environment": []}
        address, (path_address,) = self._push([path], address)
        address, places["environment"] = self._push(environment, address)
        address, places["arguments"] = self._push(arguments, address)
        address, (platform_address,) = self._push([_PLATFORM], address & ~15)
        random_address = (address - 16) & ~15
        self._memory.space.write(random_address, os.urandom(16))
        vector = {
            AT_PAGESZ: PAGE_SIZE,
            AT_FLAGS: 0,
            AT_UID: os.getuid(),
            AT_EUID: os.geteuid(),
            AT_GID: os.getgid(),
            AT_EGID: os.getegid(),
            AT_HWCAP: _HARDWARE_CAPABILITIES,
            AT_CLKTCK: 100,
            AT_SECURE: 0,
            AT_RANDOM: random_address,
            AT_BASE_PLATFORM: platform_address,
            AT_EXECFN: path_address,
            **auxiliary,
            AT_NULL: 0,
        }
        table = [
            len(arguments),
            *places["arguments"],
            0,
            *places["environment"],
            0,
        ]
        pairs = [word for pair in vector.items() for word in pair]
        stack_pointer = (random_address - 4 * (len(table) + len(pairs))) & ~15
        order = self._memory.byte_order
        tail = b"".join((word & 0xFFFF_FFFF).to_bytes(4, order) for word in pairs)
        head = b"".join(word.to_bytes(4, order) for word in table)
        self._memory.space.write(stack_pointer, head + tail)
        return stack_pointer, tail

    def _push(self, strings: Sequence[bytes], address: int) -> tuple[int, list[int]]:
        """Store the strings below `address` in ascending order; returns the bottom and their addresses."""
        data = b"".join(string + b"\0" for string in strings)
        address -= len(data)
        self._memory.space.write(address, data)
        places, place = [], address
        for string in strings:
            places.append(place)
            place += len(string) + 1
        return address, places
