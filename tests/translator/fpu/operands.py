"""Operands that matter, and random ones, for every format."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product

from translator.float_format import FLOAT_FORMATS, FORMAT_WIDTH
from translator.float_operations import FloatOperation


def special_values(kind: str) -> list[int]:
    """Zeros, infinities, NaNs of both sorts, the edges of the exponent range and of the integer formats."""
    if kind in "wl":
        width = FORMAT_WIDTH[kind]
        mask = (1 << width) - 1
        edges = [0, 1, 3, (1 << 24) - 1, (1 << 24) + 1, 1 << (width - 1), (1 << (width - 1)) - 1, mask >> 2]
        if kind == "l":
            edges += [(1 << 53) + 1, (1 << 54) + 3, (1 << 62) + (1 << 38), (1 << 62) + (1 << 9) + 1]
        return sorted({value & mask for edge in edges for value in (edge, -edge)})
    form = FLOAT_FORMATS[kind]
    one, half_ulp_below = form.one, form.one - 1
    magnitudes = [
        0,
        1,
        2,
        form.fraction_mask,
        form.minimum_normal,
        form.minimum_normal + 1,
        2 * form.minimum_normal,
        (form.bias // 2) << form.fraction_bits,
        half_ulp_below,
        one,
        one + 1,
        one + form.minimum_normal // 2,
        one + form.minimum_normal,
        form.infinity - 1,
        form.infinity,
        form.default_nan,
        form.infinity + 1,
        form.infinity | form.signalling_bit,
        form.infinity | form.fraction_mask,
    ]
    magnitudes += [number_bits(kind, value) for value in _NEAR_INTEGER_LIMITS]
    return [sign | magnitude for magnitude in magnitudes for sign in (0, form.sign_bit)]


_NEAR_INTEGER_LIMITS = (
    0.25, 0.5, 0.75, 1.5, 2.5, 3.5, 2.0**31 - 1, 2.0**31 - 0.5, 2.0**31, 2.0**31 + 0.5, 2.0**31 + 1,
    2.0**31 - 0.25, 2.0**31 + 0.25, 2.0**52 + 0.5, 2.0**63, 2.0**63 - 2.0**10, 2.0**63 + 2.0**11,
)  # fmt: skip


def number_bits(kind: str, value: float) -> int:
    """The bits of `value` in a floating-point format (rounded by the host)."""
    import struct

    code, pattern = ("<I", "<f") if kind == "s" else ("<Q", "<d")
    return int(struct.unpack(code, struct.pack(pattern, value))[0])


def random_value(source: random.Random, kind: str) -> int:
    """Uniform bits, small exponents, short fractions or integers: whatever tends to round interestingly."""
    width = FORMAT_WIDTH[kind]
    bits = source.getrandbits(width)
    if kind in "wl":
        return bits >> source.randrange(width)
    form = FLOAT_FORMATS[kind]
    choice = source.randrange(6)
    if choice == 0:
        return bits
    if choice == 1:
        return source.choice(special_values(kind))
    spread = (form.bias // 8, 3, form.fraction_bits + 2, 70)[choice - 2]
    exponent = form.bias + source.randint(-spread, spread)
    fraction = bits & form.fraction_mask
    if source.randrange(2):
        keep = source.randrange(form.fraction_bits)
        fraction &= ~((1 << keep) - 1)
    sign = form.sign_bit if source.randrange(2) else 0
    return sign | exponent << form.fraction_bits | fraction


def special_operands(
    operation: FloatOperation, source: random.Random, limit: int
) -> Iterator[tuple[int, ...]]:
    """Combinations of special values: all of them, or `limit` picked at random."""
    values = special_values(operation.source)
    if len(values) ** operation.arity <= limit:
        yield from product(values, repeat=operation.arity)
        return
    for _ in range(limit):
        yield tuple(source.choice(values) for _ in range(operation.arity))


def random_operands(
    operation: FloatOperation, source: random.Random, count: int
) -> Iterator[tuple[int, ...]]:
    """`count` random operand tuples; often the operands are close to each other, so that sums cancel."""
    for _ in range(count):
        operands = [random_value(source, operation.source) for _ in range(operation.arity)]
        if operation.arity > 1 and operation.source in "sd" and source.randrange(3) == 0:
            form = FLOAT_FORMATS[operation.source]
            near = operands[0] ^ source.getrandbits(source.randrange(1, form.fraction_bits))
            operands[-1] = near ^ (form.sign_bit if source.randrange(2) else 0)
        yield tuple(operands)
