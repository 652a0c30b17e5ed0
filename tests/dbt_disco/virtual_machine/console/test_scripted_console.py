"""A serial line in the hands of a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.console.scripted_console import (
    ConsoleEnded,
    ConsoleTimeout,
    ScriptedConsole,
)
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.running import RunningVirtualMachine
from tests.dbt_disco.virtual_machine.bare_programs import ECHO, HELLO, raw_image

TIMEOUT = 30


@pytest.fixture
def echo(tmp_path: Path) -> Configuration:
    kernel = tmp_path / "echo"
    kernel.write_bytes(raw_image(*ECHO))
    return Configuration(kernel, memory_size=4 << 20)


def test_what_was_found_is_not_found_again(echo: Configuration) -> None:
    with RunningVirtualMachine(echo) as guest:
        guest.console.send("one two one two")
        assert guest.console.wait_for("two", TIMEOUT) == "one two"
        assert guest.console.wait_for("two", TIMEOUT) == " one two"
        with pytest.raises(ConsoleTimeout, match=r"0\.1 seconds have passed, and 'two'.*'one two one two'"):
            guest.console.wait_for("two", 0.1)
        guest.console.send("q")
        assert guest.join(TIMEOUT) == Outcome(Ending.RESET)
        assert guest.console.output == b"one two one twoq"


def test_the_guest_ends_while_something_is_waited_for() -> None:
    with RunningVirtualMachine(Configuration(HELLO)) as guest:
        assert guest.console.wait_for("Hello", TIMEOUT) == "Hello"
        with pytest.raises(ConsoleEnded, match="bare metal"):
            guest.console.wait_for("Hello", TIMEOUT)


def test_join_does_not_wait_for_ever(echo: Configuration) -> None:
    with RunningVirtualMachine(echo) as guest, pytest.raises(TimeoutError):
        guest.join(0.1)


def test_much_input(echo: Configuration) -> None:
    """More than a pipe holds, while the guest takes it bit by bit."""
    text = "0123456789" * 10_000
    with RunningVirtualMachine(echo) as guest:
        guest.console.send(text)
        assert guest.console.wait_for(text, 2 * TIMEOUT) == text


def test_answers_in_order(echo: Configuration) -> None:
    """Each to output behind what was answered before, also if there is much of it at once."""
    console = ScriptedConsole()
    for prompt, answer in (("a", "xb"), ("b", "ya"), ("a", "q"), ("a", "never")):
        console.answer(prompt, answer)
    with RunningVirtualMachine(echo, console=console) as guest:
        guest.console.send("a")
        assert guest.join(TIMEOUT) == Outcome(Ending.RESET)
        assert guest.console.output == b"axbyaq"


def test_text_is_utf_8(echo: Configuration) -> None:
    with RunningVirtualMachine(echo) as guest:
        guest.console.send("ä€😀")
        assert guest.console.wait_for("😀", TIMEOUT) == "ä€😀"
