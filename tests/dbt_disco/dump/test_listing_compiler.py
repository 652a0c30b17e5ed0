"""Compiling for a listing: what LLVM dies of ends no dump."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dbt_disco.dump.json_format import as_json
from dbt_disco.dump.listing import Listing, find_region, make_listing
from dbt_disco.dump.listing_compiler import CompilationFailed, ListingCompiler
from dbt_disco.dump.text_format import format_text
from runtime.native_code import native_code
from runtime.worker_process import WorkerProcess
from tests.translator.test_compile import COALESCER_BUG
from translator.region import Region
from translator.translation import Mode

ONE = "define i32 @one() { ret i32 1 }"
CODE = {0x1000: 0x03E0_0008, 0x1004: 0x2402_0001}
"""jr ra; li v0, 1"""
DYING = "import os, sys; sys.stdin.buffer.read(4); print('Assertion failed.', file=sys.stderr, flush=True); os.abort()"


class Code:
    """Guest code without a profile."""

    is_profiled = False

    def word(self, pc: int) -> int | None:
        return CODE.get(pc)

    def heat(self, pc: int) -> int:
        return 0


@contextmanager
def compiler(script: str | None = None) -> Iterator[ListingCompiler]:
    """With the worker, or with one that runs `script` in its place."""

    def start(command: list[str]) -> WorkerProcess:
        return native_code(False).start_process([sys.executable, "-c", script] if script else command)

    made = ListingCompiler(start)
    try:
        yield made
    finally:
        made.close()


def test_what_ends_the_process_is_compiled_with_caution() -> None:
    with compiler() as made:
        assert "retq" in made.compile(ONE).assembly
        assert "retq" in made.compile(COALESCER_BUG.read_text()).assembly
        assert made.compile(ONE).optimised_ir.startswith("; ModuleID")


def test_a_failure_says_what_llvm_said() -> None:
    with compiler(DYING) as made, pytest.raises(CompilationFailed, match=r"^Assertion failed\.$"):
        made.compile(ONE)


def test_a_listing_of_what_cannot_be_compiled_has_the_other_stages() -> None:
    with compiler(DYING) as made:
        listing = _listing(made)
    assert listing.stages["guest"] and listing.stages["ir"]
    assert not listing.stages["opt"] and not listing.stages["host"]
    assert as_json(listing)["failure"] == "Assertion failed."
    assert "\nnot compiled, always interpreted: Assertion failed.\n" in format_text(listing)


def _listing(made: ListingCompiler) -> Listing:
    code = Code()
    region = find_region(code, 0x1000)
    assert isinstance(region, Region)
    return make_listing(code, region, Mode(), ["guest", "ir", "opt", "host"], "", made)
