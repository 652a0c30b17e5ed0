"""Putting a program into an address space: segments, interpreter, stack, signal-return page."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from typing import Final, NamedTuple

from dbt_disco.linux import initial_stack
from dbt_disco.linux.elf_image import ElfImage, Segment, open_program, read_elf_image
from dbt_disco.linux.guest_memory import GuestMemory
from dbt_disco.linux.guest_stack import STACK_GUARD, STACK_ROOM
from dbt_disco.linux.host_environment import host_environment
from dbt_disco.linux.initial_stack import InitialStack
from dbt_disco.linux.load_error import LoadError
from dbt_disco.linux.memory_usage import STACK
from dbt_disco.linux.signal_frame import SIGNAL_RETURN_PAGE, signal_return_code
from dbt_disco.linux.sysroot import Sysroot
from runtime.address_space import EXEC, PAGE_MASK, PAGE_SIZE, READ, WRITE, AddressSpace, page_end, page_start

_PROGRAM_BASE: Final = 0x5555_0000
"""Where a position-independent program goes: two thirds up, as Linux without randomisation."""
_DEFAULT_STACK_SIZE: Final = 8 << 20
_MAXIMUM_STACK_SIZE: Final = 256 << 20


class LoadedProgram(NamedTuple):
    """Everything a process needs to know about the program it runs."""

    path: bytes
    """Where the file is on the host, absolute: what /proc/self/exe names."""
    arguments: tuple[bytes, ...]
    big_endian: bool
    wide_fpu: bool
    entry: int
    stack_pointer: int
    stack_top: int
    program_break: int
    auxiliary_vector: bytes
    environment: tuple[bytes, ...] = ()
    """As it was at the start."""


def load_program(
    space: AddressSpace,
    program: str | bytes,
    arguments: Sequence[str | bytes] = (),
    environment: Sequence[str | bytes] | None = None,
    sysroot: str | bytes | None = None,
) -> LoadedProgram:
    """Load an o32 executable into an empty address space.

    `program` is a host path, else one within `sysroot`; `arguments` start with the program's own name (taken
    from `program` if there are none); `environment` holds `NAME=value` entries and defaults to the host's.
    Raises `LoadError`.
    """
    root = Sysroot(os.fsencode(sysroot) if sysroot else None)
    name = os.fsencode(program)
    path = name if os.path.exists(name) or not name else root.resolve_program(name)
    guest_arguments = tuple(map(os.fsencode, arguments)) or (name,)
    if environment is None:
        environment = [key + b"=" + value for key, value in host_environment().items()]
    guest_environment = tuple(map(os.fsencode, environment))
    try:
        return _load(space, path, name, guest_arguments, guest_environment, root)
    except OSError as error:
        raise LoadError(name, f"cannot be loaded: {error.strerror or error}") from None


def _load(
    space: AddressSpace,
    path: bytes,
    name: bytes,
    arguments: tuple[bytes, ...],
    environment: tuple[bytes, ...],
    root: Sysroot,
) -> LoadedProgram:
    fd = open_program(path)
    try:
        image = read_elf_image(fd, path)
        memory = GuestMemory(space, image.big_endian)
        bias = _aligned(_PROGRAM_BASE, image) - image.low if image.position_independent else 0
        stack_size = _stack_size()
        stack_bottom = SIGNAL_RETURN_PAGE - stack_size
        if image.high + bias > stack_bottom - STACK_GUARD:
            raise LoadError(path, "does not fit in user space below the stack")
        _map_segments(memory, image, fd, bias)
    finally:
        os.close(fd)
    protection = READ | WRITE | (EXEC if image.executable_stack else 0)
    space.map_anonymous(stack_bottom, stack_size, protection, name=STACK)
    space.map_anonymous(SIGNAL_RETURN_PAGE, PAGE_SIZE, READ | WRITE, name="[sigpage]")
    space.write(SIGNAL_RETURN_PAGE, signal_return_code(image.big_endian))
    space.protect(SIGNAL_RETURN_PAGE, PAGE_SIZE, READ | EXEC)
    space.search_top = SIGNAL_RETURN_PAGE - max(stack_size, STACK_ROOM) - STACK_GUARD
    entry, base, wide_fpu = image.entry + bias, 0, image.wide_fpu
    if image.interpreter is not None:
        entry, base, interpreter_wide = _load_interpreter(memory, image, root)
        wide_fpu = wide_fpu and interpreter_wide
    auxiliary = {
        initial_stack.AT_PHDR: image.program_headers_address + bias,
        initial_stack.AT_PHENT: 32,
        initial_stack.AT_PHNUM: image.program_header_count,
        initial_stack.AT_BASE: base,
        initial_stack.AT_ENTRY: image.entry + bias,
    }
    stack = InitialStack(memory, SIGNAL_RETURN_PAGE, stack_size)
    stack_pointer, vector = stack.build(name, arguments, environment, auxiliary)
    return LoadedProgram(
        path=os.path.realpath(path),
        arguments=arguments,
        big_endian=image.big_endian,
        wide_fpu=wide_fpu,
        entry=entry & 0xFFFF_FFFF,
        stack_pointer=stack_pointer,
        stack_top=SIGNAL_RETURN_PAGE,
        program_break=image.high + bias,
        auxiliary_vector=vector,
        environment=environment,
    )


def _load_interpreter(memory: GuestMemory, program: ElfImage, root: Sysroot) -> tuple[int, int, bool]:
    """Load PT_INTERP's file; returns its entry point, its load bias, and whether it can use a wide FPU."""
    assert program.interpreter is not None
    wanted = os.fsdecode(program.interpreter)
    path = root.resolve(program.interpreter, follow=True)
    if not os.path.exists(path):
        hint = (
            f"is not under {os.fsdecode(root.directory)}"
            if root.directory
            else "give its system with --sysroot"
        )
        raise LoadError(program.path, f"its interpreter {wanted} is missing: {hint}", 127)
    fd = open_program(path, f"(the interpreter of {os.fsdecode(program.path)}) ")
    try:
        image = read_elf_image(fd, path)
        if image.big_endian != program.big_endian:
            raise LoadError(path, f"the interpreter of {os.fsdecode(program.path)} has the other byte order")
        bias = 0
        if image.position_independent:
            alignment = max(image.alignment, PAGE_SIZE)
            found = memory.space.find_free(image.high - image.low + alignment)
            bias = ((found + alignment - 1) & -alignment) - image.low
        _map_segments(memory, image, fd, bias)
    finally:
        os.close(fd)
    return image.entry + bias, bias, image.wide_fpu


def _aligned(address: int, image: ElfImage) -> int:
    alignment = max(image.alignment, PAGE_SIZE)
    return (address + alignment - 1) & -alignment


def _map_segments(memory: GuestMemory, image: ElfImage, fd: int, bias: int) -> None:
    for segment in image.segments:
        _map_segment(memory, image, segment, fd, bias)


def _map_segment(memory: GuestMemory, image: ElfImage, segment: Segment, fd: int, bias: int) -> None:
    """Map the file's part, clear the rest of its last page, and map the remainder (bss) anonymously."""
    space = memory.space
    start = segment.address + bias
    file_end, memory_end = start + segment.file_size, page_end(start + segment.memory_size)
    mapped_end = page_start(start)
    if segment.file_size:
        mapped_end = page_end(file_end)
        offset = segment.offset - (start & PAGE_MASK)
        space.map_file(
            page_start(start),
            mapped_end - page_start(start),
            segment.protection,
            fd,
            offset,
            name=os.path.realpath(os.fsdecode(image.path)),
        )
        if segment.memory_size > segment.file_size and mapped_end > file_end and segment.protection & WRITE:
            space.write(file_end, bytes(mapped_end - file_end))
    if memory_end > mapped_end:
        space.map_anonymous(mapped_end, memory_end - mapped_end, segment.protection)


def _stack_size() -> int:
    limit = resource.getrlimit(resource.RLIMIT_STACK)[0]
    if limit == resource.RLIM_INFINITY or limit <= 0:
        return _DEFAULT_STACK_SIZE
    return page_end(min(max(limit, 128 << 10), _MAXIMUM_STACK_SIZE))
