"""Wires joined to CPU interrupts."""

from __future__ import annotations

import random

import pytest

from dbt_disco.virtual_machine.interrupt_controller import InterruptController


def test_an_interrupt_is_raised_while_any_of_its_wires_is() -> None:
    changes: list[int] = []
    controller = InterruptController(changes.append)
    first, second = controller.line(2), controller.line(2)
    first.set(True)
    second.set(True)
    first.set(False)
    assert changes == [1 << 2]
    second.set(False)
    assert changes == [1 << 2, 0]


def test_only_changes_are_told() -> None:
    changes: list[int] = []
    line = InterruptController(changes.append).line(4)
    line.set(False)
    line.set(True)
    line.set(True)
    line.set(False)
    line.set(False)
    assert changes == [1 << 4, 0]


@pytest.mark.parametrize("interrupt", [-1, 0, 1, 8])
def test_software_interrupts_have_no_wire(interrupt: int) -> None:
    with pytest.raises(ValueError, match="no hardware interrupt"):
        InterruptController(lambda levels: None).line(interrupt)


def test_random_wires(first_seed: int) -> None:
    generator = random.Random(first_seed)
    told = [0]
    controller = InterruptController(told.append)
    numbers = [generator.randrange(2, 8) for _ in range(20)]
    wires = [(controller.line(number), number) for number in numbers]
    raised: set[int] = set()
    for _ in range(2000):
        index = generator.randrange(len(wires))
        level = generator.random() < 0.3
        wires[index][0].set(level)
        (raised.add if level else raised.discard)(index)
        expected = 0
        for each in raised:
            expected |= 1 << numbers[each]
        assert controller.levels == told[-1] == expected
