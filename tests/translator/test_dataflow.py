"""What semantics touch, as derived by running them on a recording Cpu."""

from __future__ import annotations

import pytest

import translator.isa  # noqa: F401
from translator.dataflow import Location, RecordingCpu, dataflow, gpr_destination, record
from translator.encoding import ENCODINGS, Encoding, Flow
from translator.state import FIELDS, ExceptionCode


def locations(mnemonic: str) -> tuple[set[Location], set[Location]]:
    record = dataflow(ENCODINGS[mnemonic])
    return set(record.reads), set(record.writes)


@pytest.mark.parametrize(
    ("mnemonic", "field"),
    [
        ("addu", "rd"), ("addiu", "rt"), ("lui", "rt"), ("mul", "rd"), ("mfhi", "rd"), ("ext", "rt"),
        ("lw", "rt"), ("lwl", "rt"), ("sc", "rt"), ("movz", "rd"), ("jalr", "rd"), ("rdhwr.userlocal", "rt"),
        ("sw", None), ("mult", None), ("beq", None), ("jal", None), ("bltzal", None), ("syscall", None),
        ("teq", None), ("sync", None),
    ],
)  # fmt: skip
def test_destination_field(mnemonic: str, field: str | None) -> None:
    assert gpr_destination(ENCODINGS[mnemonic]) == field


def test_reads_and_writes() -> None:
    rs, rt, rd = (Location("gpr", name) for name in ("rs", "rt", "rd"))
    assert locations("subu") == ({rs, rt}, {rd})
    assert locations("movn") == ({rs, rt, rd}, {rd})
    assert locations("mflo") == ({Location("lo")}, {rd})
    assert locations("jal") == ({Location("pc")}, {Location("gpr", 31)})
    assert locations("movf") == ({Location("fcc", "cc"), rs, rd}, {rd})
    assert locations("rdhwr.userlocal") == ({Location("user_local")}, {Location("gpr", "rt")})


def test_memory_exceptions_and_immediates() -> None:
    lw, swl, sc = (dataflow(ENCODINGS[name]) for name in ("lw", "swl", "sc"))
    assert (lw.loads, lw.stores) == (True, False)
    assert (swl.loads, swl.stores) == (False, True)
    assert sc.stores and sc.accesses_memory
    assert not dataflow(ENCODINGS["pref"]).accesses_memory
    assert lw.immediates == {"offset"}
    assert dataflow(ENCODINGS["ins"]).immediates == {"msb", "lsb"}
    assert dataflow(ENCODINGS["add"]).exceptions == {ExceptionCode.OV}
    assert dataflow(ENCODINGS["tne"]).exceptions == {ExceptionCode.TR}
    assert dataflow(ENCODINGS["addu"]).exceptions == frozenset()


def test_register_fields_by_file() -> None:
    movt = dataflow(ENCODINGS["movt"])
    assert movt.register_fields() == {"cc", "rs", "rd"}
    assert movt.register_fields("fcc") == {"cc"}
    assert movt.register_fields("gpr") == {"rs", "rd"}


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=lambda encoding: encoding.mnemonic)
def test_record_is_consistent(encoding: Encoding) -> None:
    """Scalar locations are fields of the state; byte order and register width change nothing."""
    names = {name for name, _, _ in FIELDS}
    for location in dataflow(encoding).reads | dataflow(encoding).writes:
        assert location.register is not None or location.file in names
    assert record(encoding, RecordingCpu(big_endian=True)) == dataflow(encoding)
    assert record(encoding, RecordingCpu(xlen=64)) == dataflow(encoding)


def test_conditional_control_is_not_an_exception() -> None:
    assert dataflow(ENCODINGS["beq"]).flow is Flow.BRANCH
    assert dataflow(ENCODINGS["break"]).flow is Flow.EXCEPTION
    assert dataflow(ENCODINGS["teq"]).flow is Flow.NEXT
