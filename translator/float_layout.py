"""Which FPU register pairs a region holds as one double, and which as two floats.

Guests use the same register for doubles here and for singles there: every callee-saved register is at least
saved and restored as a doubleword. The form that the loops compute in wins; the other costs a shuffle per
use.
"""

from __future__ import annotations

from typing import Final

from translator.dataflow import dataflow
from translator.encoding import Encoding
from translator.region import Region

_COMPUTING: Final = 4
"""Weight of a use in arithmetic, compared with one that only moves the value from or to elsewhere."""
_PER_LOOP: Final = 8
_DEEPEST: Final = 3


class FloatLayout:
    """Register numbers → positions in the register file of `CpuState`, and the form each pair is held in."""

    def __init__(self, wide: bool) -> None:
        self.wide = wide
        self._preference: dict[int, int] = {}
        """Weight of the uses as a doubleword less that of the uses as words, by pair."""

    def note_doubleword(self, register: int, weight: int) -> None:
        """`register` is used as a doubleword."""
        self._note(self.doubleword_index(register), weight)

    def note_word(self, register: int, weight: int) -> None:
        """`register` is used as a word, or the high half of its doubleword is."""
        self._note(self.word_index(register) >> 1, -weight)

    def _note(self, pair: int, weight: int) -> None:
        self._preference[pair] = self._preference.get(pair, 0) + weight

    def doubleword_index(self, register: int) -> int:
        """Number of the pair (FR=1: of the 64-bit register)."""
        return register if self.wide else register >> 1

    def word_index(self, register: int, high: bool = False) -> int:
        """Position of a register's low word, or of the high word of its doubleword."""
        word = 2 * register if self.wide else register
        return word | 1 if high else word

    def is_doubleword(self, pair: int) -> bool:
        """Whether the pair is held as one double."""
        return self._preference.get(pair, 0) >= 0


def float_layout(region: Region, wide: bool) -> FloatLayout:
    """The layout for `region` with Status.FR = `wide`."""
    layout = FloatLayout(wide)
    loops = [(target, source) for source, target in region.retreating_edges()]
    for block in region.blocks.values():
        depth = sum(first <= block.start <= last for first, last in loops)
        frequency = _PER_LOOP ** min(depth, _DEEPEST)
        for _, instruction in block.instructions():
            weight = frequency * _weight(instruction.encoding)
            flow = dataflow(instruction.encoding)
            for name in flow.register_fields("fpr64"):
                layout.note_doubleword(instruction.field(name), weight)
            for name in flow.register_fields("fpr32", "fpr_high"):
                layout.note_word(instruction.field(name), weight)
    return layout


def _weight(encoding: Encoding) -> int:
    flow = dataflow(encoding)
    only_moves = flow.accesses_memory or flow.register_fields("gpr")
    return 1 if only_moves else _COMPUTING
