"""RLIMIT_AS, RLIMIT_DATA and RLIMIT_STACK as a guest sets them: on the host they would limit the runtime."""

from __future__ import annotations

import errno
import resource
from typing import Final, NamedTuple

from dbt_disco.linux.guest_stack import GuestStack
from dbt_disco.linux.memory_usage import mapped_memory
from runtime.address_space import AddressSpace

RESOURCES: Final = frozenset({resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_STACK})
"""Host numbers of these limits."""
INFINITY: Final = (1 << 64) - 1


class Limit(NamedTuple):
    """struct rlimit64."""

    current: int
    maximum: int


class MemoryLimits:
    """The limits that the guest has set; for others the host's hold, the runtime's memory included."""

    def __init__(self, space: AddressSpace, stack: GuestStack) -> None:
        self._space = space
        self._stack = stack
        self._limits: dict[int, Limit] = {}

    def get(self, number: int) -> Limit | None:
        """The limit (host number), if the guest has set it."""
        return self._limits.get(number)

    def set(self, number: int, limit: Limit, stack_pointer: int) -> None:
        """Set one of RESOURCES."""
        self._limits[number] = limit
        if number == resource.RLIMIT_STACK:
            self._stack.set_limit(limit.current, stack_pointer)

    def check(self, growth: int, *, data: int) -> None:
        """Before the guest gets `growth` more bytes, and `data` more of data: OSError if a limit forbids it."""
        if not self._limits:
            return
        mapped = mapped_memory(self._space.regions)
        if growth > 0 and mapped.total + growth > self._current(resource.RLIMIT_AS):
            raise OSError(errno.ENOMEM, "beyond the guest's RLIMIT_AS")
        if data > 0 and mapped.data + data > self._current(resource.RLIMIT_DATA):
            raise OSError(errno.ENOMEM, "beyond the guest's RLIMIT_DATA")

    def _current(self, number: int) -> int:
        limit = self._limits.get(number)
        return INFINITY if limit is None else limit.current
