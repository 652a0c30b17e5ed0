"""Loading: what a program finds at its start, and a clear line for everything that cannot be started."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dbt_disco.linux import initial_stack
from dbt_disco.linux.guest_memory import GuestMemory
from dbt_disco.linux.load_error import LoadError
from dbt_disco.linux.loader import LoadedProgram, load_program
from runtime.address_space import EXEC, READ, WRITE, AddressSpace
from tests.dbt_disco.linux.elf_builder import ElfBuilder

BOTH_ENDIANS = pytest.mark.parametrize("big_endian", [False, True], ids=["little", "big"])


@pytest.fixture
def load(tmp_path: Path) -> Any:
    """Write an ELF file and load it."""
    spaces = []

    def loader(elf: bytes, mode: int = 0o755, **options: Any) -> tuple[AddressSpace, LoadedProgram]:
        path = tmp_path / "program"
        path.write_bytes(elf)
        path.chmod(mode)
        space = AddressSpace()
        spaces.append(space)
        return space, load_program(space, str(path), **options)

    yield loader
    for space in spaces:
        space.close()


@BOTH_ENDIANS
def test_a_static_program(load: Any, big_endian: bool) -> None:
    elf = ElfBuilder(big_endian).build()
    space, program = load(elf)
    assert program.big_endian is big_endian and program.entry == 0x40_0000 + 116
    assert space.read(0x40_0000, len(elf)) == elf
    region = space.regions.find(0x40_0000)
    assert region is not None and region.protection == READ | EXEC and region.name.endswith("/program")
    assert program.program_break == 0x40_1000
    assert program.wide_fpu is False


def test_bss_is_zero_also_in_the_last_page_of_the_file(load: Any) -> None:
    builder = ElfBuilder(segment={"flags": 6, "file_size": 120, "memory_size": 0x3000})
    space, program = load(builder.build() + b"not part of the segment")
    assert space.read(0x40_0078, 0x3000 - 120) == bytes(0x3000 - 120)
    assert program.program_break == 0x40_3000
    region = space.regions.find(0x40_2FFF)
    assert region is not None and region.protection == READ | WRITE


def test_position_independent_programs_are_moved(load: Any) -> None:
    _, program = load(ElfBuilder(header={"type": 3, "entry": 116}, segment={"address": 0}).build())
    assert program.entry == 0x5555_0000 + 116


@BOTH_ENDIANS
def test_the_initial_stack(load: Any, big_endian: bool) -> None:
    arguments, environment = ("name", "", "one two"), (b"A=1", "B=\N{GREEK SMALL LETTER BETA}".encode())
    elf = ElfBuilder(big_endian).build()
    space, program = load(elf, arguments=arguments, environment=environment)
    memory = GuestMemory(space, big_endian)
    pointer = program.stack_pointer
    assert pointer % 16 == 0
    count, *pointers = memory.words(pointer, 1 + 3 + 1 + 2 + 1)
    assert count == 3
    assert [memory.string(address) for address in pointers[:3]] == [b"name", b"", b"one two"]
    assert pointers[3] == 0 and pointers[6] == 0
    assert [memory.string(address) for address in pointers[4:6]] == list(environment)
    words = memory.words(pointer + 32, len(program.auxiliary_vector) // 4)
    vector = dict(zip(words[::2], words[1::2], strict=True))
    assert words[-2:] == [initial_stack.AT_NULL, 0]
    assert vector[initial_stack.AT_PHDR] == 0x40_0034 and vector[initial_stack.AT_PHNUM] == 1
    assert vector[initial_stack.AT_ENTRY] == program.entry and vector[initial_stack.AT_BASE] == 0
    assert vector[initial_stack.AT_UID] == os.getuid() and vector[initial_stack.AT_PAGESZ] == 4096
    assert memory.string(vector[initial_stack.AT_EXECFN]).endswith(b"/program")
    assert memory.string(vector[initial_stack.AT_BASE_PLATFORM]) == b"mips32r2"
    assert any(space.read(vector[initial_stack.AT_RANDOM], 16))
    stack = space.regions.find(pointer)
    assert stack is not None and stack.name == "[stack]" and stack.end - stack.start >= 128 << 10
    assert space.regions.find(stack.start - 4096) is None, "overflow must meet nothing"


def test_a_sysroot_is_searched_for_program_and_interpreter(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    interpreter = tmp_path / "lib/loader.so"
    interpreter.write_bytes(ElfBuilder(header={"type": 3, "entry": 116}, segment={"address": 0}).build())
    (tmp_path / "program").write_bytes(ElfBuilder(interpreter=b"/lib/loader.so\0").build())
    for name in ("program", "lib/loader.so"):
        (tmp_path / name).chmod(0o755)
    space = AddressSpace()
    program = load_program(space, "/program", sysroot=str(tmp_path))
    region = space.regions.find(program.entry)
    assert region is not None and region.name == str(interpreter)
    assert program.path == os.fsencode(tmp_path / "program")
    space.close()


BAD_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "empty"),
    "text": (lambda: b"hello, world\n" * 10, "not an ELF file"),
    "script": (lambda: b"#!/bin/sh\n", "script"),
    "only the magic": (lambda: b"\x7fELF", "truncated"),
    "truncated header": (lambda: ElfBuilder().build()[:40], "truncated"),
    "truncated program headers": (lambda: ElfBuilder().build()[:60], "truncated"),
    "truncated segment": (lambda: ElfBuilder().build()[:120], "truncated"),
    "n64": (
        lambda: ElfBuilder(header={"identification": b"\x7fELF\2\1\1" + bytes(9)}).build(),
        "64-bit",
    ),
    "no class": (lambda: ElfBuilder(header={"identification": b"\x7fELF\0\1\1" + bytes(9)}).build(), "class"),
    "x86": (lambda: ElfBuilder(header={"machine": 3}).build(), "another machine (386)"),
    "unknown machine": (lambda: ElfBuilder(header={"machine": 0xEEEE}).build(), "another machine"),
    "n32": (lambda: ElfBuilder(header={"flags": 0x6000_0020}).build(), "n32"),
    "o64": (lambda: ElfBuilder(header={"flags": 0x7000_2000}).build(), "o64"),
    "MIPS64": (lambda: ElfBuilder(header={"flags": 0x8000_1000}).build(), "MIPS64r2"),
    "release 6": (lambda: ElfBuilder(header={"flags": 0x9000_1000}).build(), "MIPS32r6"),
    "microMIPS": (lambda: ElfBuilder(header={"flags": 0x7200_1000}).build(), "microMIPS"),
    "MIPS16": (lambda: ElfBuilder(header={"flags": 0x7400_1000}).build(), "MIPS16"),
    "nan2008": (lambda: ElfBuilder(header={"flags": 0x7000_1400}).build(), "2008"),
    "object file": (lambda: ElfBuilder(header={"type": 1}).build(), "object file"),
    "no segments": (lambda: ElfBuilder(segment={"type": 0}).build(), "no segment"),
    "no headers": (lambda: ElfBuilder(header={"count": 0}).build(), "program headers"),
    "many headers": (lambda: ElfBuilder(header={"count": 0xFFFF}).build(), "program headers"),
    "odd header size": (lambda: ElfBuilder(header={"entry_size": 56}).build(), "program headers"),
    "headers far away": (lambda: ElfBuilder(header={"program_headers": 0xFFFF_FFF0}).build(), "truncated"),
    "more file than memory": (lambda: ElfBuilder(segment={"memory_size": 1}).build(), "larger in the file"),
    "misaligned": (lambda: ElfBuilder(segment={"address": 0x40_0100}).build(), "aligned"),
    "in kernel space": (lambda: ElfBuilder(segment={"address": 0x8000_0000}).build(), "user space"),
    "around the end": (
        lambda: ElfBuilder(segment={"memory_size": 0xFFFF_FFFF}).build(),
        "user space",
    ),
    "over the stack": (lambda: ElfBuilder(segment={"memory_size": 0x7FB0_0000}).build(), "stack"),
    "no such interpreter": (lambda: ElfBuilder(interpreter=b"/lib/none.so\0").build(), "/lib/none.so"),
    "endless interpreter": (lambda: ElfBuilder(interpreter=b"/lib/none.so").build(), "interpreter"),
    "nameless interpreter": (lambda: ElfBuilder(interpreter=b"\0").build(), "interpreter"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_named_with_the_reason(load: Any, tmp_path: Path, name: str) -> None:
    contents, reason = BAD_FILES[name]
    with pytest.raises(LoadError) as caught:
        load(contents())
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'program'}: ") and reason in message
    assert "\n" not in message
    assert caught.value.exit_status == (127 if name == "no such interpreter" else 126)


def test_files_that_cannot_be_executed(load: Any, tmp_path: Path) -> None:
    space = AddressSpace()
    for path, reason, status in (
        (tmp_path, "directory", 126),
        (tmp_path / "missing", "no such file", 127),
        (Path("/dev/null"), "not a regular file", 126),
        (Path("/proc/version/program"), "no such file", 127),
    ):
        with pytest.raises(LoadError, match=reason) as caught:
            load_program(space, str(path))
        assert caught.value.exit_status == status
    space.close()
    with pytest.raises(LoadError, match="permission"):
        load(ElfBuilder().build(), mode=0o644)


def test_arguments_that_do_not_fit(load: Any) -> None:
    with pytest.raises(LoadError, match="too long"):
        load(ElfBuilder().build(), arguments=["x" * (3 << 20)])


@pytest.mark.parametrize("block", range(8))
def test_mutated_files_load_or_are_refused(tmp_path: Path, first_seed: int, block: int) -> None:
    """Whatever the headers say: a LoadError or a loaded program, no other exception and no dead process."""
    original = ElfBuilder(interpreter=b"/lib/none.so\0").build() if block % 2 else ElfBuilder().build()
    path = tmp_path / "mutant"
    for seed in range(first_seed * 1000 + block * 100, first_seed * 1000 + block * 100 + 100):
        chance = random.Random(seed)
        mutant = bytearray(original)
        for _ in range(chance.randrange(1, 5)):
            mutant[chance.randrange(4, 116)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        del mutant[chance.choice((len(mutant), chance.randrange(len(mutant)))) :]
        path.write_bytes(mutant)
        path.chmod(0o755)
        space = AddressSpace()
        try:
            load_program(space, str(path))
        except LoadError as error:
            assert "\n" not in str(error)
        finally:
            space.close()
