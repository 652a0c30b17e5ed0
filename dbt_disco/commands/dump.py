"""`dbt-disco dump`: show the code a program is translated to."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dbt_disco.command_error import CommandError
from dbt_disco.engine import native_vcpu
from dbt_disco.linux.load_error import LoadError
from dbt_disco.option_types import address, directory, positive

if TYPE_CHECKING:
    from dbt_disco.argument_parser import ArgumentParser
    from dbt_disco.dump.guest_code import GuestCode
    from dbt_disco.dump.listing import Listing
    from dbt_disco.dump.listing_compiler import ListingCompiler
    from dbt_disco.dump.symbols import SymbolTable
    from dbt_disco.linux_guest import LinuxGuest
    from translator.region import Region


def add_parser(subparsers: Any) -> ArgumentParser:
    """Declare the options."""
    parser: ArgumentParser = subparsers.add_parser(
        "dump",
        help="show the code a program is translated to",
        description="Show regions of a program in the stages of their translation, each line with the guest "
        "instruction it came from. Without --hot, regions are found without a profile, as --engine translator "
        "does. ARGS are the program's when it is run for --hot; its output then goes to standard error.",
    )
    parser.add_program()
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--symbol", metavar="NAME", help="the code of a function")
    which.add_argument("--address", type=address, metavar="A", help="the region at an address")
    which.add_argument("--all", action="store_true", help="all of the program's code")
    which.add_argument(
        "--hot", type=positive, metavar="N", help="the N hottest regions of a profiled run, with counts"
    )
    parser.add_argument(
        "--stage",
        action="append",
        choices=("guest", "ir", "opt", "host"),
        help="guest assembly, LLVM IR, the same optimised, host assembly; repeatable (default: all)",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    parser.add_argument("-L", "--sysroot", type=directory, metavar="DIR", help="as for `dbt-disco run`")
    return parser


def execute(options: Any) -> int:
    """Write the listings to standard output as they are made."""
    from dbt_disco.dump.guest_code import GuestCode
    from dbt_disco.dump.listing_compiler import ListingCompiler
    from dbt_disco.dump.symbols import code_sections, load_bias, read_symbols

    guest = _load(options)
    code = GuestCode(guest)
    path = guest.program.path
    mapped = [region.start for region in guest.space.regions if region.name == os.fsdecode(path)]
    bias = load_bias(path, min(mapped))
    symbols = read_symbols(path, bias)
    sections = code_sections(path, bias)
    if options.hot:
        _profile(guest)
        code.take_profile()
    native = native_vcpu(guest.vcpu)
    assert native is not None
    compiler = ListingCompiler(native.native.start_process)
    try:
        listings = _listings(
            code, symbols, _regions(code, symbols, sections, options), guest, compiler, options
        )
        if options.format == "json":
            _write_json(os.fsdecode(path), listings)
        else:
            _write_text(listings)
    finally:
        compiler.close()
    guest.close()
    return 0


def _load(options: Any) -> LinuxGuest:
    from dbt_disco.linux_guest import LinuxGuest

    try:
        return LinuxGuest(
            options.program,
            (options.program, *options.arguments),
            sysroot=options.sysroot,
            engine="interpreter",
            profiles=bool(options.hot),
        )
    except LoadError as error:
        raise CommandError(str(error), error.exit_status) from None


def _profile(guest: LinuxGuest) -> None:
    with _output_to_errors():
        status = guest.run()
    if status.signal:
        from dbt_disco.linux.signal_numbers import signal_name

        print(f"dbt-disco: the profiled run was killed by {signal_name(status.signal)}", file=sys.stderr)


@contextmanager
def _output_to_errors() -> Iterator[None]:
    """The guest has our descriptors: keep its output apart from the listing, and its hands off ours."""
    from runtime.host_descriptors import close_own, out_of_the_way

    sys.stdout.flush()
    kept = [out_of_the_way(os.dup(number)) for number in (1, 2)]
    os.dup2(2, 1)
    try:
        yield
    finally:
        for number, copy in enumerate(kept, 1):
            os.dup2(copy, number)
            close_own(copy)


def _listings(
    code: GuestCode,
    symbols: SymbolTable,
    regions: Iterator[Region],
    guest: LinuxGuest,
    compiler: ListingCompiler,
    options: Any,
) -> Iterator[Listing]:
    from dbt_disco.dump.listing import STAGES, make_listing
    from translator.translation import Mode

    mode = Mode(big_endian=guest.vcpu.big_endian, wide_fpu=guest.vcpu.wide_fpu)
    stages = options.stage or list(STAGES)
    for region in regions:
        yield make_listing(code, region, mode, stages, symbols.name_of(region.seed), compiler)


def _regions(
    code: GuestCode, symbols: SymbolTable, sections: list[tuple[int, int]], options: Any
) -> Iterator[Region]:
    from dbt_disco.dump import selection

    if options.symbol is not None:
        return selection.by_symbol(code, symbols, options.symbol)
    if options.address is not None:
        return selection.by_address(code, options.address)
    if options.hot:
        return selection.hottest(code, options.hot)
    return selection.everything(code, sections)


def _write_text(listings: Iterator[Listing]) -> None:
    from dbt_disco.dump.text_format import format_text

    for number, listing in enumerate(listings):
        sys.stdout.write(("\n" if number else "") + format_text(listing))


def _write_json(path: str, listings: Iterator[Listing]) -> None:
    from dbt_disco.dump.json_format import as_json

    sys.stdout.write(
        json.dumps({"program": path, "regions": [as_json(listing) for listing in listings]}, indent=1)
    )
    sys.stdout.write("\n")
