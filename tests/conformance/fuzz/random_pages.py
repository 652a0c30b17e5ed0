"""Pages of anything: random bytes, random instructions, and real code with bits flipped.

The guest around them has a page of code that it may write to or not, data, a page it may only read, a stack that
ends at an unmapped page, and a second code page for jumps to land on. Registers point near all of these.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from runtime.address_space import EXEC, PAGE_SIZE, READ, WRITE
from tests.conformance.assembler import encode
from tests.conformance.random.instructions import random_fields
from translator.encoding import ENCODINGS

CODE = 0x40_0000
CODE_SIZE = 2 * PAGE_SIZE
DATA = 0x1000_0000
READ_ONLY = 0x1001_0000
STACK = 0x7FFE_0000
LAST_USER_PAGE = 0x7FFF_F000
AREAS = (
    (DATA, PAGE_SIZE, READ | WRITE),
    (READ_ONLY, PAGE_SIZE, READ),
    (STACK, PAGE_SIZE, READ | WRITE),
    (LAST_USER_PAGE, PAGE_SIZE, READ | WRITE | EXEC),
)
"""(address, size, protection) of everything but the code."""
_EDGES = (
    0,
    CODE,
    CODE + CODE_SIZE,
    DATA,
    DATA + PAGE_SIZE,
    READ_ONLY,
    STACK,
    STACK + PAGE_SIZE,
    LAST_USER_PAGE,
)
_ENCODINGS = list(ENCODINGS.values())


@dataclass(frozen=True)
class RandomPage:
    """What to put into memory and registers."""

    code: bytes
    protection: int
    """Of the code."""
    registers: list[int]
    entry: int


def random_page(seed: int, big_endian: bool) -> RandomPage:
    """The page of a seed."""
    source = random.Random(seed)
    order = "big" if big_endian else "little"
    kind = source.randrange(3)
    if kind == 0:
        code = source.randbytes(CODE_SIZE)
    else:
        words = [_instruction(source) for _ in range(CODE_SIZE // 4)]
        if kind == 2:
            words = [word ^ (1 << source.randrange(32) if source.random() < 0.1 else 0) for word in words]
        code = b"".join(word.to_bytes(4, order) for word in words)
    registers = [0] + [_register(source) for _ in range(31)]
    registers[29] = STACK + 64
    protection = source.choice((READ | EXEC, READ | WRITE | EXEC))
    entry = CODE + 4 * source.randrange(CODE_SIZE // 4)
    return RandomPage(code, protection, registers, entry)


def _instruction(source: random.Random) -> int:
    encoding = source.choice(_ENCODINGS)
    fields = random_fields(source, encoding)
    if source.getrandbits(1) and "offset" in fields:
        fields["offset"] = source.randrange(-64, 64)
    if "index" in fields:
        fields["index"] = CODE // 4 + source.randrange(CODE_SIZE // 4)
    return encode(encoding.mnemonic, **fields)


def _register(source: random.Random) -> int:
    if source.random() < 0.3:
        return source.getrandbits(32)
    return source.choice(_EDGES) + source.randrange(-64, 64) * source.choice((1, 4)) & 0xFFFF_FFFF
