"""Structures and tables against what the cross compiler's headers say (figures from asm/*.h of MIPS o32)."""

from __future__ import annotations

import errno
import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dbt_disco.linux.calls  # noqa: F401 – registers the system calls
from dbt_disco.linux import signal_frame, structures, terminal_settings
from dbt_disco.linux.call_numbers import NAMES
from dbt_disco.linux.errno_numbers import GUEST_NAMES, guest_errno
from dbt_disco.linux.layout import Layout
from dbt_disco.linux.open_flags import guest_open_flags, host_open_flags, open_flag_names
from dbt_disco.linux.signal_numbers import (
    guest_mask,
    guest_signal,
    host_mask,
    host_signal,
    signal_name,
)
from dbt_disco.linux.system_call import CALLS

# layout, sizeof, and some offsetof
SIZES = [
    (structures.STAT, 144, {"ino": 16, "size": 48, "atime": 56, "blocks": 84}),
    (structures.STAT64, 104, {"ino": 16, "mode": 24, "size": 56, "atime": 64, "blksize": 88, "blocks": 96}),
    (structures.STATX, 256, {"mode": 28, "ino": 32, "atime": 64, "mtime": 112, "mnt_id": 144}),
    (structures.STATFS, 68, {"frsize": 8, "bavail": 28, "fsid": 32}),
    (structures.STATFS64, 96, {"blocks": 16, "bavail": 48, "fsid": 56, "namelen": 64}),
    (structures.RUSAGE, 72, {"maxrss": 16}),
    (structures.SYSINFO, 64, {"totalram": 16, "procs": 40, "mem_unit": 52}),
    (structures.UTSNAME, 390, {"machine": 260}),
    (terminal_settings.TERMIOS, 40, {"line": 16, "cc": 17}),
    (terminal_settings.HOST_TERMIOS, 36, {"cc": 17}),
    (terminal_settings.TERMIOS2, 48, {"ispeed": 40}),
    (
        signal_frame._SIGCONTEXT,
        592,
        {"pc": 8, "regs": 16, "fpregs": 272, "fpc_csr": 532, "mdhi": 552, "mdlo": 560},
    ),
]


@pytest.mark.parametrize(("layout", "size", "offsets"), SIZES)
def test_structures_have_the_size_and_offsets_of_the_abi(
    layout: Layout, size: int, offsets: dict[str, int]
) -> None:
    assert layout.size == size
    assert {name: layout.offsets[name] for name in offsets} == offsets


def test_padding_arrays_and_byte_order() -> None:
    layout = Layout("B a, I b, 3H c, Q d, 4s e, I _hidden")
    values = {"a": 1, "b": 0x0203_0405, "c": (6, 7, 8), "d": 9, "e": b"text"}
    little, big = layout.pack(False, values), layout.pack(True, values)
    assert len(little) == len(big) == layout.size == 32
    assert little[4:8] == bytes((5, 4, 3, 2)) and big[4:8] == bytes((2, 3, 4, 5))
    assert layout.offsets == {"a": 0, "b": 4, "c": 8, "d": 16, "e": 24, "_hidden": 28}
    assert layout.unpack(False, little) == layout.unpack(True, big) == values


def test_values_are_cut_to_the_field_as_in_c() -> None:
    layout = Layout("i a, H b, Q c")
    packed = layout.pack(False, {"a": 0x1_8000_0001, "b": -1, "c": -2})
    assert layout.unpack(False, packed) == {"a": -0x7FFF_FFFF, "b": 0xFFFF, "c": 2**64 - 2}


@pytest.mark.parametrize(
    ("host", "guest"),
    [
        (errno.ENOENT, 2),
        (errno.EAGAIN, 11),
        (errno.ERANGE, 34),
        (errno.ENOSYS, 89),
        (errno.ENOTEMPTY, 93),
        (errno.ENAMETOOLONG, 78),
        (errno.ELOOP, 90),
        (errno.EDEADLK, 45),
        (errno.EOVERFLOW, 79),
        (errno.ETIMEDOUT, 145),
        (errno.EOPNOTSUPP, 122),
        (errno.EINPROGRESS, 150),
        (errno.ECANCELED, 158),
        (errno.EDQUOT, 1133),
        (errno.ENODATA, 61),
    ],
)
def test_error_numbers(host: int, guest: int) -> None:
    assert guest_errno(host) == guest
    # Where an error has two names, either will do.
    assert getattr(errno, GUEST_NAMES[guest]) == host


def test_every_host_error_has_a_guest_number_of_the_same_name() -> None:
    for number, name in errno.errorcode.items():
        names = {other for other, value in vars(errno).items() if value == number and other.startswith("E")}
        assert GUEST_NAMES[guest_errno(number)] in names, name


@pytest.mark.parametrize(
    ("name", "guest"), [("SIGBUS", 10), ("SIGUSR1", 16), ("SIGCHLD", 18), ("SIGSTOP", 23), ("SIGCONT", 25)]
)
def test_signal_numbers(name: str, guest: int) -> None:
    host = int(getattr(signal, name))
    assert host_signal(guest) == host and guest_signal(host) == guest and signal_name(guest) == name


def test_signals_the_host_has_not() -> None:
    assert host_signal(7) is None  # SIGEMT
    assert host_signal(100) is None
    assert guest_signal(16) is None  # SIGSTKFLT


@given(st.integers(0, (1 << 128) - 1))
def test_masks_keep_what_both_sides_have(mask: int) -> None:
    kept = guest_mask(host_mask(mask))
    assert kept & ~mask == 0
    for number in range(1, 129):
        wanted = mask >> (number - 1) & 1
        if host_signal(number) and number not in (4, 5, 8, 10, 11):
            assert kept >> (number - 1) & 1 == wanted


@given(st.integers(0, 0xFFFF_FFFF))
def test_open_flags_survive_the_way_to_the_host_and_back(flags: int) -> None:
    host = host_open_flags(flags)
    assert host_open_flags(guest_open_flags(host)) == host


def test_open_flags() -> None:
    assert host_open_flags(0x0101) == os.O_WRONLY | os.O_CREAT
    assert host_open_flags(0x0008) == os.O_APPEND
    assert guest_open_flags(os.O_RDWR | os.O_NONBLOCK | os.O_DIRECTORY) == 0x1_0082
    assert open_flag_names(0x8_0181) == "O_WRONLY|O_NONBLOCK|O_CREAT|O_CLOEXEC"


def test_terminal_settings_there_and_back() -> None:
    host = {"iflag": 0x500, "oflag": 5, "cflag": 0xBF, "lflag": 0x8A3B, "line": 0, "cc": tuple(range(1, 20))}
    guest = terminal_settings.to_guest(host)
    assert guest["lflag"] == 0x0B3B  # IEXTEN is 0x100
    cc = guest["cc"]
    assert isinstance(cc, tuple) and len(cc) == 23
    assert (cc[4], cc[16], cc[17]) == (7, 5, 12)  # VMIN, VEOF, VEOL
    back = terminal_settings.to_host(guest)
    assert back["lflag"] == host["lflag"]
    assert isinstance(back["cc"], tuple) and back["cc"][:17] == host["cc"][:17]  # type: ignore[index]


def test_every_implemented_call_has_a_number() -> None:
    assert set(CALLS) <= set(NAMES.values())
    assert {number: NAMES[number] for number in (4001, 4003, 4090, 4193, 4283, 4403)} == {
        4001: "exit",
        4003: "read",
        4090: "mmap",
        4193: "rt_sigreturn",
        4283: "set_thread_area",
        4403: "clock_gettime64",
    }


@pytest.mark.parametrize(
    ("name", "words", "little", "big"),
    [
        ("pread64", [3, 4, 5, 99, 1, 2], [3, 4, 5, 1 | 2 << 32], [3, 4, 5, 2 | 1 << 32]),
        ("ftruncate64", [3, 99, 1, 2], [3, 1 | 2 << 32], [3, 2 | 1 << 32]),
        ("fallocate", [3, 0, 1, 2, 3, 4], [3, 0, 1 | 2 << 32, 3 | 4 << 32], [3, 0, 2 | 1 << 32, 4 | 3 << 32]),
        ("lseek", [3, 0xFFFF_FFFF, 0], [3, -1, 0], [3, -1, 0]),
    ],
)
def test_64_bit_arguments_take_aligned_register_pairs(
    name: str, words: list[int], little: list[int], big: list[int]
) -> None:
    assert CALLS[name].words == len(words)
    assert CALLS[name].arguments(words, False) == little
    assert CALLS[name].arguments(words, True) == big
