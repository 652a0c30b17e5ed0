"""The compile worker: a process that answers one request at a time over standard input and output.

Messages, framed by `translator.worker_messages`:
  → ("translate", cautious, seed, mode flags, Extent)   translate the region of this hot address
                                                 (cautious: a worker has died of it already)
  ← ("page", number)                             the worker needs a page of guest code …
  → (code, counters, writable, regions) or None  … and gets its bytes, counters, and what regions there are
  ← ("translation", bytes or None)               the answer; None: there is nothing to translate
  → ("list", cautious, IR)                       compile IR for a reader …
  ← ("listing", (optimised IR, host assembly))   … and show what comes of it
  ← ("failed", text)                             the translator has a bug; the text says which
A process of its own, since LLVM holds a lock while it compiles and ends the process when it is unhappy.
"""

from __future__ import annotations

import array
import marshal
import os
import select
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from threading import Lock, Timer
from typing import Any, BinaryIO

from translator.compile import compile_ir, no_coalescing
from translator.decode import decode
from translator.float_mode import without_reserved_pairs
from translator.region import Profile, Region, discover, follows_branch
from translator.region_ir import RegionIr, emit_region
from translator.system.region_code import decode_in_region
from translator.system.views import KERNEL_ADDRESSES
from translator.translation import Mode, Translation
from translator.worker_messages import BEGINS_BLOCK, ENTERS_REGION, Extent, receive, send

GLUE_INSTRUCTIONS = 300
MERGED_INSTRUCTIONS = 2000
"""Twice what others have at most: a list program with its allocator is one region of 1,360, and takes half the time."""
SYSTEM_WARM = 500
"""Heat from which an address of a virtual machine belongs in a region: its counters start so much later to matter."""
GUEST_PROGRAM_INLINED = 500
"""`Profile.max_inlined` for programs in virtual machines, where leaving a region for another costs most. Neither
kernels' boots nor programs outside were faster for it."""
_LIBRARY_DISTANCE = 16 << 20
"""A program and its libraries are further apart than this, at another distance in every process."""
TOO_LONG = 60.0
"""Seconds of processor time after which LLVM is taken not to come back; the largest regions take one or two."""
STATIC_INSTRUCTIONS = 48
"""Size of a region found without a profile."""


class _GuestCode:
    """Pages of guest code, asked for as they are needed."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO, big_endian: bool) -> None:
        self._requests = requests
        self._answers = answers
        self._format = ">1024I" if big_endian else "<1024I"
        self._pages: dict[int, tuple[tuple[int, ...], array.array[int], bytes] | None] = {}
        self._writable: set[int] = set()

    def _page(self, pc: int) -> tuple[tuple[int, ...], array.array[int], bytes] | None:
        number = pc >> 12
        if number not in self._pages:
            send(self._answers, ("page", number))
            answer = receive(self._requests)
            if answer and answer[2]:
                self._writable.add(number)
            self._pages[number] = answer and (
                struct.unpack(self._format, answer[0]),
                array.array("I", answer[1]),
                answer[3],
            )
        return self._pages[number]

    def is_writable(self, region: Region) -> bool:
        """Whether the guest may write to code of the region: then its stores must be precise."""
        return any(pc >> 12 in self._writable for pc in region.words())

    def word(self, pc: int) -> int | None:
        page = self._page(pc & 0xFFFF_FFFF)
        return page[0][pc >> 2 & 1023] if page else None

    def heat(self, pc: int) -> int:
        page = self._page(pc & 0xFFFF_FFFF)
        return page[1][pc >> 2 & 1023] if page else 0

    def is_entry(self, pc: int) -> bool:
        return self._regions(pc) & ENTERS_REGION != 0

    def is_translated(self, pc: int) -> bool:
        return self._regions(pc) & BEGINS_BLOCK != 0

    def _regions(self, pc: int) -> int:
        page = self._page(pc & 0xFFFF_FFFF)
        return page[2][pc >> 2 & 1023] if page else 0


def translate(seed: int, mode: Mode, code: _GuestCode | _Example, profile: Profile) -> bytes | None:
    """The translation of the region at `seed`, packed; None if nothing there can be translated.

    A store to the region's own code must take effect on the next instruction, so it must be precise.
    """
    if follows_branch(seed, profile.word):
        return None  # it may be entered as a delay slot
    region = discover(seed, profile)
    if region is None:
        return None
    precise = not mode.system and (mode.precise or code.is_writable(region))
    ir = emit_region(region, replace(mode, precise=precise))
    object_code = compile_ir(ir.text).object_code
    return make_translation(region, ir, object_code, mode, precise).to_bytes()


def make_translation(
    region: Region, ir: RegionIr, object_code: bytes, mode: Mode, precise: bool
) -> Translation:
    """Pack a compiled region."""
    return Translation(
        seed=region.seed,
        object_code=object_code,
        entries=ir.entries,
        code=_stretches(region.words(), "big" if mode.big_endian else "little"),
        blocks=list(region.blocks),
        instructions=sum(map(len, region.blocks.values())),
        mode=mode.key(),
        precise=precise,
        access_points=marshal.dumps([tuple(point) for point in ir.access_points]),
        is_movable=ir.is_movable,
        reached_from_elsewhere=tuple(region.entries_from_elsewhere()),
    )


def _stretches(words: dict[int, int], order: Any) -> list[tuple[int, bytes]]:
    """Adjacent words joined."""
    stretches: list[tuple[int, bytearray]] = []
    for pc in sorted(words):
        word = words[pc].to_bytes(4, order)
        if stretches and stretches[-1][0] + len(stretches[-1][1]) == pc:
            stretches[-1][1].extend(word)
        else:
            stretches.append((pc, bytearray(word)))
    return [(start, bytes(code)) for start, code in stretches]


def _translation(
    requests: BinaryIO, answers: BinaryIO, seed: int, flags: tuple[bool, ...], extent: int
) -> bytes | None:
    mode = Mode(*flags)
    code = _GuestCode(requests, answers, mode.big_endian)
    word = code.word if mode.wide_fpu else without_reserved_pairs(code.word)
    max_inlined = Profile.max_inlined
    if mode.system and seed < KERNEL_ADDRESSES:
        word = near(seed, word)
        max_inlined = GUEST_PROGRAM_INLINED
    decoder = decode_in_region if mode.system else decode
    if extent == Extent.STATIC:
        profile = Profile(word, code.heat, warm=0, max_instructions=STATIC_INSTRUCTIONS, decode=decoder)
    elif extent == Extent.GLUE:
        profile = Profile(
            word,
            code.heat,
            is_entry=code.is_entry,
            max_instructions=GLUE_INSTRUCTIONS,
            decode=decoder,
        )
    else:
        warm = SYSTEM_WARM if mode.system else Profile.warm
        profile = Profile(
            word,
            code.heat,
            warm=warm,
            decode=decoder,
            has_region=code.is_entry,
            is_translated=code.is_translated if extent == Extent.MERGED else lambda pc: False,
            max_inlined=max_inlined,
            max_instructions=MERGED_INSTRUCTIONS if extent == Extent.MERGED else Profile.max_instructions,
        )
    return translate(seed, mode, code, profile)


def near(seed: int, word: Callable[[int], int | None]) -> Callable[[int], int | None]:
    """No code but that which keeps its distance from `seed` when both move."""
    return lambda pc: word(pc) if abs(pc - seed) < _LIBRARY_DISTANCE else None


class TimeLimit:
    """Ends this process if what is done in its context takes TOO_LONG: the other side does without it then."""

    def __enter__(self) -> None:
        self._begun = time.process_time()
        self._changing = Lock()
        self._has_ended = False
        self._start()

    def __exit__(self, *_: object) -> None:
        with self._changing:
            self._has_ended = True
            self._timer.cancel()

    def _start(self) -> None:
        self._timer = Timer(TOO_LONG, self._look)
        self._timer.daemon = True
        self._timer.start()

    def _look(self) -> None:
        with self._changing:
            if self._has_ended:
                return
            if time.process_time() - self._begun < TOO_LONG:  # it has had to wait
                self._start()
                return
            os.write(2, f"no end after {TOO_LONG:g} s".encode())
            os._exit(1)


def _listing(ir: str) -> tuple[str | None, str | None]:
    compiled = compile_ir(ir, listing=True)
    return compiled.optimised_ir, compiled.assembly


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until the other side closes."""
    while True:
        try:
            kind, cautious, *content = receive(requests)
        except EOFError:
            return
        try:
            with TimeLimit(), no_coalescing() if cautious else nullcontext():
                if kind == "list":
                    send(answers, ("listing", _listing(*content)))
                else:
                    send(answers, ("translation", _translation(requests, answers, *content)))
        except (EOFError, BrokenPipeError):
            return
        except Exception:  # the other side reports it: a translator bug must not go unseen
            send(answers, ("failed", traceback.format_exc()))


class _Example:
    """A loop: code that nobody has to be asked for."""

    _WORDS = (0x2508FFFF, 0x8D090000, 0x1500FFFD, 0x00000000)
    """addiu $t0, $t0, -1; lw $t1, 0($t0); bnez $t0, the first; nop."""

    def word(self, pc: int) -> int | None:
        return self._WORDS[pc >> 2] if 0 <= pc >> 2 < len(self._WORDS) else None

    def is_writable(self, _: Region) -> bool:
        return False


def get_ready() -> bytes | None:
    """Have everything loaded and set up that translating needs: a tenth of a second. A translation nobody wants."""
    code = _Example()
    return translate(
        0, Mode(system=True), code, Profile(code.word, lambda _: 0, warm=0, decode=decode_in_region)
    )


def main() -> None:
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the terminal's signals are for the guest
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if not select.select([sys.stdin], [], [], 0)[0]:  # nobody waits yet
        with TimeLimit(), suppress(Exception):  # what is wrong with the translator, a request will tell
            get_ready()
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
