"""Small guests for tests of the native engines: assembled code on an address space of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runtime.address_space import EXEC, PAGE_SIZE, READ, WRITE, AddressSpace
from runtime.vcpu import Vcpu
from tests.conformance.assembler import assemble

CODE = 0x40_0000
DATA = 0x50_0000


def words(listing: str) -> bytes:
    """Little-endian code of a listing, one instruction a line; `#` starts a comment."""
    lines = (line.partition("#")[0].strip() for line in listing.splitlines())
    return b"".join(assemble(line).to_bytes(4, "little") for line in lines if line)


@contextmanager
def guest(listing: str, *, writable_code: bool = False, **options: Any) -> Iterator[Vcpu]:
    """A vCPU at the start of the code, with one page of data; nothing comes from the disk cache."""
    space = AddressSpace()
    code = words(listing)
    space.map_anonymous(CODE, -(-len(code) // PAGE_SIZE) * PAGE_SIZE, READ | WRITE | EXEC)
    space.write(CODE, code)
    if not writable_code:
        space.protect(CODE, -(-len(code) // PAGE_SIZE) * PAGE_SIZE, READ | EXEC)
    space.map_anonymous(DATA, PAGE_SIZE, READ | WRITE)
    vcpu = Vcpu(space, **{"use_cache": False, **options})
    vcpu.state.pc = CODE
    try:
        yield vcpu
    finally:
        vcpu.close()
        space.close()
