"""`dbt-disco dump`: the right code is shown, every line says where it comes from, counts are exact."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from tests.conformance.assembler import assemble
from tests.dbt_disco.commands.command import HELLO_BIG_ENDIAN, QUEENS, command
from tests.dbt_disco.linux.elf_builder import ElfBuilder

START = 0x40_0074
"""Where ElfBuilder's code begins."""
PROGRAM = (
    "addiu r8, r0, 100",
    "addiu r9, r0, 0",
    "addu r9, r9, r8",  # loop: START + 8
    "lw r10, 0(r29)",
    "addiu r8, r8, -1",
    "bne r8, r0, -4",
    "addu r9, r9, r10",
    "lui r25, 0x40",
    "ori r25, r25, 0xb0",
    "jalr r31, r25",
    "addiu r4, r0, 0",
    "addiu r2, r0, 4001",
    "syscall",
    "break",
    "break",
    "sltu r11, r8, r9",  # function: START + 60 = 0x4000b0
    "jr r31",
    "xor r12, r11, r9",
)


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    path = tmp_path / "guest"
    path.write_bytes(ElfBuilder(code=tuple(map(assemble, PROGRAM))).build())
    path.chmod(0o755)
    return path


def dump(*words: object) -> list[dict[str, Any]]:
    """The regions of a dump in JSON."""
    done = command("dump", "--format", "json", *words)
    assert done.status == 0, done.errors
    document = json.loads(done.output)
    regions: list[dict[str, Any]] = document["regions"]
    return regions


def mnemonics(lines: list[dict[str, Any]]) -> list[str]:
    return [line["text"].split()[1] for line in lines]


def test_stages_in_json(guest: Path) -> None:
    (region,) = dump("--address", hex(START), guest)
    assert region["address"] == START
    assert START + 8 in region["entries"]
    assert set(region["stages"]) == {"guest", "ir", "opt", "host"}
    addresses = [line["address"] for line in region["stages"]["guest"]]
    assert addresses[:7] == list(range(START, START + 28, 4))
    assert mnemonics(region["stages"]["guest"])[:3] == ["addiu", "addiu", "addu"]
    for stage in ("ir", "opt", "host"):
        origins = {line["address"] for line in region["stages"][stage]}
        assert origins - {None} <= set(addresses), stage
        assert START + 12 in origins, f"{stage} does not show where the load comes from"
        assert all("executions" not in line for line in region["stages"][stage])


@pytest.mark.parametrize("stage", ["ir", "opt", "host"])
def test_lines_come_from_their_instruction(guest: Path, stage: str) -> None:
    """What only one guest instruction needs stands under its address, also after optimisation."""
    (region,) = dump("--address", hex(START), "--stage", stage, guest)
    lines = region["stages"][stage]
    unsigned = {"ir": "icmp ult", "opt": "icmp ult", "host": "setb"}
    (function,) = dump("--address", hex(START + 60), "--stage", stage, guest)
    found = {line["address"] for line in function["stages"][stage] if unsigned[stage] in line["text"]}
    assert found == {START + 60}
    loads = {"ir": r"= load i32, ptr %host", "opt": r"= load i32, ptr %host", "host": r"mov\w+\s+\(%r13,"}
    found = {line["address"] for line in lines if re.search(loads[stage], line["text"])}
    assert found == {START + 12}


def test_optimisation_makes_code_shorter(guest: Path) -> None:
    (region,) = dump("--address", hex(START), guest)
    assert len(region["stages"]["opt"]) < len(region["stages"]["ir"])


def test_hot_regions_have_exact_counts(guest: Path) -> None:
    (region,) = dump("--hot", 1, "--stage", "guest", "--stage", "host", guest)
    counts = {line["address"]: line["executions"] for line in region["stages"]["guest"]}
    assert [counts[START + at] for at in (8, 12, 16, 20, 24)] == [100] * 5
    assert region["executed"] == sum(counts.values())
    for line in region["stages"]["host"]:
        assert line.get("executions") == counts.get(line["address"])


def test_all_counts_together_are_what_stats_counts(guest: Path, tmp_path: Path) -> None:
    stats = json.loads(command("run", "--stats=json", "--engine", "reference", guest).errors)
    counts: dict[int, int] = {}
    for region in dump("--hot", 1000, "--stage", "guest", guest):
        counts |= {line["address"]: line["executions"] for line in region["stages"]["guest"]}
    # The last instruction, the system call that ends the process, is executed but does not retire.
    assert sum(counts.values()) == stats["instructions"] + 1
    assert counts[START + 36 + 4] == counts[START + 36] == 1


def test_the_profiled_program_gets_its_arguments(tmp_path: Path) -> None:
    """Its output goes to standard error, which keeps the listing clean."""
    write = (
        "lw r5, 8(r29)",
        "addiu r4, r0, 1",
        "addiu r6, r0, 5",
        "addiu r2, r0, 4004",
        "syscall",
        "addiu r2, r0, 4001",
        "syscall",
    )
    path = tmp_path / "write"
    path.write_bytes(ElfBuilder(code=tuple(map(assemble, write))).build())
    path.chmod(0o755)
    done = command("dump", "--hot", 1, "--stage", "guest", "--format", "json", path, "seven", "--hot")
    assert done.errors == "seven"
    assert json.loads(done.output)["regions"]


def test_all_covers_the_code(guest: Path) -> None:
    regions = dump("--all", "--stage", "guest", guest)
    covered = {line["address"] for region in regions for line in region["stages"]["guest"]}
    assert covered >= {START + 4 * at for at in range(len(PROGRAM))}


def test_all_means_the_sections_of_code() -> None:
    """Not the ELF header, nor the constants behind the code, though both are mapped executable with it."""
    with open(HELLO_BIG_ENDIAN, "rb") as file:
        headers = [s.header for s in ELFFile(file).iter_sections() if s.header["sh_flags"] & 4]
    sections = [range(h["sh_addr"], h["sh_addr"] + h["sh_size"]) for h in headers]
    regions = dump("--all", "--stage", "guest", HELLO_BIG_ENDIAN)
    assert all(any(region["address"] in section for section in sections) for region in regions)
    starts = {line["address"] for region in regions for line in region["stages"]["guest"]}
    assert all(section.start in starts for section in sections)


def test_text_puts_each_stage_under_its_guest_instruction(guest: Path) -> None:
    done = command("dump", "--address", hex(START), guest)
    lines = done.output.splitlines()
    assert lines[0].startswith(f"region {START:08x}: ")
    load = next(number for number, line in enumerate(lines) if line.startswith(f"{START + 12:08x}  "))
    following = next(
        number for number, line in enumerate(lines[load + 1 :], load + 1) if line.startswith("0040")
    )
    stages = [line.split()[0] for line in lines[load + 1 : following]]
    assert set(stages) == {"ir", "opt", "host"}
    assert "lw $t2" in lines[load]


def test_one_stage_is_listed_in_order(guest: Path) -> None:
    done = command("dump", "--address", hex(START), "--stage", "guest", guest)
    assert [line[:8] for line in done.output.splitlines()[2:9]] == [f"{START + 4 * k:08x}" for k in range(7)]


def test_big_endian() -> None:
    regions = dump("--hot", 1, HELLO_BIG_ENDIAN)
    assert regions[0]["executed"] > 0
    assert any("bswap" in line["text"] for line in regions[0]["stages"]["ir"])


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--address", "0x10000"), 1, "0x00010000 is not in the program's code"),
        (("--address", "0x400075"), 1, "is not a multiple of 4"),
        (("--symbol", "main"), 1, "no symbol 'main': the program is stripped"),
        (("--address", "-4"), 2, "-4 is no address of 32 bits"),
        (("--all", "-L", "/no/such"), 2, "'/no/such' is no directory"),
        ((), 2, "one of the arguments --symbol --address --all --hot is required"),
        (("--hot", "0"), 2, "'0' is no number from 1"),
        (("--all", "--stage", "c"), 2, "invalid choice: 'c'"),
        (("--all", "--hot", "2"), 2, "not allowed with argument"),
    ],
)
def test_errors_are_one_line(guest: Path, words: tuple[str, ...], status: int, message: str) -> None:
    done = command("dump", *words, guest)
    assert message in done.error_line()
    assert done.status == status


def test_no_such_program() -> None:
    done = command("dump", "--all", "/no/such/program")
    assert "/no/such/program: no such file" in done.error_line()
    assert done.status == 127


def test_no_room_for_the_output(guest: Path) -> None:
    with open("/dev/full", "w") as full:
        done = command("dump", "--all", guest, capture_output=False, stdout=full, stderr=-1)
    assert "the output: cannot be written: No space left" in done.error_line()
    assert done.status == 1


def test_nobody_reads_on(guest: Path) -> None:
    """As under `| head`."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = command("dump", "--all", guest, capture_output=False, stdout=closed, stderr=-1)
    assert "Traceback" not in (done.errors or "")
    assert done.status < 0


def test_symbols() -> None:
    regions = dump("--symbol", "printf", "--stage", "guest", QUEENS)
    assert regions[0]["symbol"] == "printf"
    with QUEENS.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        (symbol,) = table.get_symbol_by_name("printf")
    start, size = symbol["st_value"], symbol["st_size"]
    covered = {line["address"] for region in regions for line in region["stages"]["guest"]}
    assert covered >= set(range(start, start + size, 4))
    assert "did you mean printf" in command("dump", "--symbol", "prinft", QUEENS).error_line()
