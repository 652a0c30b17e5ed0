"""What is typed is for the guest, but for Ctrl-A and the key behind it."""

from __future__ import annotations

import itertools

import pytest

from dbt_disco.virtual_machine.console.escape_keys import HELP, Command, EscapeKeys


def split(*pieces: bytes) -> list[bytes | Command]:
    keys = EscapeKeys()
    parts: list[bytes | Command] = []
    for piece in pieces:
        parts += keys.split(piece)
    return parts


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (b"abc\r", [b"abc\r"]),
        (b"\x01x", [Command.LEAVE]),
        (b"ab\x01ccd", [b"ab", Command.MONITOR, b"cd"]),
        (b"\x01h\x01?", [Command.HELP, Command.HELP]),
        (b"\x01b", [Command.BREAK]),
        (b"a\x01\x01b", [b"a", b"\x01", b"b"]),
        (b"\x01a\x01xa", [b"\x01", Command.LEAVE, b"a"]),
        (b"\x01zx", [b"x"]),
        (b"\x01\xffx", [b"x"]),
        (b"\x00\xff\x1b[A", [b"\x00\xff\x1b[A"]),
        (b"\x01", []),
    ],
)
def test_split(typed: bytes, expected: list[bytes | Command]) -> None:
    assert split(typed) == expected


def test_the_pieces_do_not_matter() -> None:
    """Keys arrive one by one, or many at a time when they are pasted."""
    typed = b"ab\x01\x01c\x01cd\x01"

    def joined(parts: list[bytes | Command]) -> list[bytes | Command]:
        groups = itertools.groupby(parts, key=lambda part: isinstance(part, bytes))
        return [
            part
            for is_text, group in groups
            for part in ([b"".join(group)] if is_text else list(group))  # type: ignore[arg-type]
        ]

    whole = joined(split(typed, b"x"))
    assert whole == [b"ab\x01c", Command.MONITOR, b"d", Command.LEAVE]
    for at in range(len(typed)):
        assert joined(split(typed[:at], typed[at:], b"x")) == whole


def test_every_command_is_in_the_help() -> None:
    for command in Command:
        assert command.value in HELP
