"""Our own guest kernel: each of its tasks, against Python's computation; its disk; bad input; its crashes."""

from __future__ import annotations

import re
import signal
import struct
import subprocess
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_disco.demo.disk_image import PAGE_SIZE, SECTOR_SIZE, Volume
from dbt_disco.demo.expected_report import (
    checksum_line,
    compute_line,
    done_line,
    report_of_all,
    volume_line,
    write_line,
    written_sectors,
)
from dbt_disco.demo.guest_kernel import KERNEL, KERNEL_BIG_ENDIAN, KernelStatus
from tests.dbt_disco.commands.command import REPOSITORY, command, launcher
from tests.dbt_disco.demo.kernel_boot import SMALL_VOLUME, VOLUME, boot, errors, results

KERNELS = pytest.mark.parametrize("kernel", [KERNEL, KERNEL_BIG_ENDIAN], ids=["mipsel", "mips"])
MACHINES = pytest.mark.parametrize(
    ("kernel", "engine"),
    [(KERNEL, "auto"), (KERNEL_BIG_ENDIAN, "interpreter")],
    ids=["mipsel-auto", "mips-interpreter"],
)
ENGINES = pytest.mark.parametrize("engine", ["auto", "interpreter"])


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image with VOLUME, which nobody writes to."""
    return image(tmp_path_factory.mktemp("disk") / "image", VOLUME.image())


def image(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def drive(path: Path, mode: str = "shared") -> tuple[str, str]:
    return "--drive", f"file={path},mode={mode}"


# The tasks.


@KERNELS
@ENGINES
def test_everything(kernel: Path, engine: str, disk: Path) -> None:
    done = boot("task=all name=vm1 rounds=20", *drive(disk), kernel=kernel, engine=engine)
    assert results(done) == report_of_all(VOLUME, "vm1", sectors=256, rounds=20)
    assert (done.status, done.errors) == (KernelStatus.DONE, "")


@KERNELS
@pytest.mark.parametrize("engine", ["reference", "translator"])
def test_checksums_on_the_other_engines(kernel: Path, engine: str, tmp_path: Path) -> None:
    small = image(tmp_path / "small", SMALL_VOLUME.image())
    done = boot("task=checksum", *drive(small), kernel=kernel, engine=engine)
    lines = [volume_line(SMALL_VOLUME), *map(checksum_line, SMALL_VOLUME.files)]
    assert results(done) == [*lines, done_line(lines)]


@ENGINES
def test_checksums_of_some_files(engine: str, disk: Path) -> None:
    done = boot("files=third,first task=checksum", *drive(disk), engine=engine)
    first, _, third = VOLUME.files
    lines = [volume_line(VOLUME), checksum_line(third), checksum_line(first)]
    assert (results(done), done.status) == ([*lines, done_line(lines)], KernelStatus.DONE)


@MACHINES
def test_written_sectors_are_on_the_disk(kernel: Path, engine: str, tmp_path: Path) -> None:
    """And nothing else of the disk has changed; a request and a bit more of them."""
    path = image(tmp_path / "own", VOLUME.image())
    done = boot("task=write sectors=2300 seed=anna", *drive(path, "exclusive"), kernel=kernel, engine=engine)
    lines = [volume_line(VOLUME), write_line(VOLUME, 2300, "anna")]
    assert results(done) == [*lines, done_line(lines)]
    before, after = VOLUME.image(), path.read_bytes()
    start = VOLUME.first_scratch_sector * SECTOR_SIZE
    end = start + 2300 * SECTOR_SIZE
    assert after[start:end] == written_sectors(2300, "anna")
    assert (after[:start], after[end:]) == (before[:start], before[end:])


def test_written_sectors_of_a_shared_disk_vanish(tmp_path: Path) -> None:
    path = image(tmp_path / "shared", VOLUME.image())
    assert boot("task=write name=berta", *drive(path)).status == KernelStatus.DONE
    assert path.read_bytes() == VOLUME.image()


@MACHINES
def test_computing(kernel: Path, engine: str) -> None:
    done = boot("task=compute rounds=57", kernel=kernel, engine=engine)
    assert results(done) == [compute_line(57), done_line([compute_line(57)])]


def test_computing_uses_mapped_memory() -> None:
    """A megabyte of 8 KB pairs, through a TLB of 64 entries, several times."""
    done = boot("task=compute rounds=5", "--clock", "instructions", engine="interpreter")
    refills = re.search(r"tlb_refills=(\d+)", done.output)
    assert refills is not None and int(refills[1]) >= 128


@pytest.mark.parametrize("engine", ["auto", "interpreter", "translator"])
def test_scattered_memory(engine: str, disk: Path) -> None:
    """Every page is a segment; the second file is more than a request, the write as well."""
    done = boot("task=all frames=scattered sectors=2400 rounds=1", *drive(disk), engine=engine)
    assert results(done) == report_of_all(VOLUME, "kernel", sectors=2400, rounds=1)


def test_instruction_for_instruction_the_same_on_all_engines(tmp_path: Path) -> None:
    """Everything that is shown: ticks, TLB refills, the time that reads take."""
    small = image(tmp_path / "small", SMALL_VOLUME.image())
    words = "task=checksum,write,read sectors=8 size=4K repeat=5"
    engines = ("auto", "interpreter", "translator", "reference")
    outputs = {
        boot(words, "--clock", "instructions", *drive(small), engine=engine).output for engine in engines
    }
    assert len(outputs) == 1 and "done: failures=0 " in outputs.pop()


@KERNELS
def test_tormented_devices_are_the_same_on_native_engines(kernel: Path, tmp_path: Path) -> None:
    """Whatever is done to them, at the same instruction, has the same effects (what is printed is noise, too)."""
    small = image(tmp_path / "small", SMALL_VOLUME.image())
    words = ("--memory", "8M", "--clock", "instructions", "--rng", "--balloon", *drive(small))
    words += ("--kernel", kernel, "--append", "task=torment operations=3000")
    outputs = {
        command("boot", *words, "--engine", engine, stdin=subprocess.DEVNULL, errors="replace").output
        for engine in ("auto", "interpreter", "translator")
    }
    assert len(outputs) == 1
    report = re.search(r"\ntorment: operations=3000 broken=(\d+)\n", outputs.pop())
    assert report is not None and int(report[1]) > 30


def test_a_deterministic_clock_gives_the_same_run_twice(disk: Path) -> None:
    options = ("--clock", "instructions", *drive(disk))
    first, second = (boot("task=all,read repeat=3 rounds=3", *options) for _ in range(2))
    assert first == second
    assert "counts=" in first.output


@ENGINES
@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ("", "size=1048576 segments=16 align=page touch=no requests=5 pages=1280"),
        (
            "size=128K segments=8 align=none touch=yes",
            "size=131072 segments=8 align=none touch=yes requests=5 pages=160",
        ),
        ("size=4K", "size=4096 segments=1 align=page touch=no requests=5 pages=5"),
        (
            "size=512K frames=scattered",
            "size=524288 segments=128 align=page touch=no requests=5 pages=640",
        ),
    ],
)
def test_reading(options: str, shown: str, engine: str, disk: Path) -> None:
    done = boot(f"task=read repeat=5 {options}", *drive(disk), engine=engine)
    assert done.status == KernelStatus.DONE
    (line,) = (line for line in done.output.splitlines() if line.startswith("read: "))
    values = re.fullmatch(rf"read: {shown} counts=(\d+) pages_per_second=(\d+)", line)
    assert values is not None and all(int(value) > 0 for value in values.groups())


# Bad input: one clear line, and a status.


def test_without_a_disk_the_rest_is_done() -> None:
    done = boot("task=all rounds=1")
    assert errors(done) == ["checksum: no disk", "write: no disk"]
    assert results(done)[2:] == [compute_line(1), done_line([compute_line(1)], failures=2)]
    assert done.status == KernelStatus.FAILED


def with_header(volume: Volume, offset: int, value: int) -> bytes:
    """The volume's image, one word of its header changed (guests/kernel/volume.h)."""
    data = bytearray(volume.image())
    struct.pack_into("<I", data, offset, value)
    return bytes(data)


def with_directory(volume: Volume, offset: int, value: int) -> bytes:
    """The volume's image, one word of its directory changed, and the checksum made right again."""
    data = bytearray(volume.image())
    struct.pack_into("<I", data, PAGE_SIZE + offset, value)
    crc = zlib.crc32(data[PAGE_SIZE : PAGE_SIZE + 64 * len(volume.files)])
    struct.pack_into("<I", data, 24, crc)
    return bytes(data)


SMALL_IMAGE = SMALL_VOLUME.image()
BAD_DISKS = {
    "tiny": (bytes(SECTOR_SIZE), "an empty disk: it has no room for a volume header"),
    "zeros": (bytes(8 * PAGE_SIZE), "no volume of ours on the disk"),
    "other version": (with_header(SMALL_VOLUME, 8, 2), "a volume of another version"),
    "header only": (SMALL_IMAGE[:PAGE_SIZE], "truncated: the volume is larger than the disk"),
    "cut in the directory": (
        SMALL_IMAGE[: PAGE_SIZE + SECTOR_SIZE],
        "truncated: the volume is larger than the disk",
    ),
    "directory too long": (
        with_header(SMALL_VOLUME, 20, 1_000_000),
        "damaged: the directory is not on the volume",
    ),
    "directory elsewhere": (
        with_header(SMALL_VOLUME, 16, 0xFFFFFFFF),
        "damaged: the directory is not on the volume",
    ),
    "writing elsewhere": (
        with_header(SMALL_VOLUME, 32, 17),
        "damaged: the room for writing is not on the volume",
    ),
    "directory changed": (
        SMALL_IMAGE[:PAGE_SIZE] + b"x" + SMALL_IMAGE[PAGE_SIZE + 1 :],
        "damaged: the directory's checksum is wrong",
    ),
    "file too long": (with_directory(SMALL_VOLUME, 52, 0xFFFFFFFF), "damaged: a file is not on the volume"),
    "file elsewhere": (with_directory(SMALL_VOLUME, 48, 22), "damaged: a file is not on the volume"),
}


@pytest.mark.parametrize("name", BAD_DISKS)
def test_bad_disks(name: str, tmp_path: Path) -> None:
    data, problem = BAD_DISKS[name]
    done = boot("task=checksum", *drive(image(tmp_path / "bad", data)))
    assert errors(done) == [f"checksum: {problem}"]
    assert done.status == KernelStatus.FAILED


def test_a_damaged_file(tmp_path: Path) -> None:
    data = bytearray(SMALL_IMAGE)
    data[2 * PAGE_SIZE + 100] ^= 1
    done = boot("task=checksum", *drive(image(tmp_path / "damaged", bytes(data))))
    (error,) = errors(done)
    assert re.fullmatch(r"checksum: one: damaged, its CRC-32 is [0-9a-f]{8} and should be [0-9a-f]{8}", error)
    assert checksum_line(SMALL_VOLUME.files[1]) in results(done)
    assert done.status == KernelStatus.FAILED


def test_a_read_only_disk(disk: Path) -> None:
    done = boot("task=write", "--drive", f"file={disk},readonly=on")
    assert (errors(done), done.status) == (["write: input/output error"], KernelStatus.FAILED)


def test_no_such_file(disk: Path) -> None:
    done = boot("task=checksum files=fourth", *drive(disk))
    assert (errors(done), done.status) == (
        ["checksum: fourth: no such file on the disk"],
        KernelStatus.FAILED,
    )


def test_too_little_memory_for_a_file(disk: Path) -> None:
    done = boot("task=checksum", *drive(disk), memory="4M")
    assert errors(done) == ["checksum: third: the machine has too little memory for it"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("", "task= is missing: say what to do, as in task=all"),
        ("task=", "task= is missing: say what to do, as in task=all"),
        (
            "task=dance",
            "task=dance: no such task; there are all, checksum, write, compute, read, plant, search, crash, torment",
        ),
        ("task=compute quiet", "quiet: not of the form name=value"),
        ("task=compute task=read", "task= is given twice"),
        ("task=compute rounds=many", "rounds=many: not a number from 0 to 4294967295"),
        ("task=compute rounds=4294967296", "rounds=4294967296: not a number from 0 to 4294967295"),
        ("task=write sectors=2401", "sectors=2401: not a number from 0 to 2400"),
        ("task=read align=word", "align=word: it is page or none"),
        ("task=read size=5000", "size=5000: not a multiple of 4096"),
        ("task=read frames=scattered", "size=1048576: with these pieces of memory it is no single request"),
        ("task=crash kind=slowly", "kind=slowly: no such kind of crash"),
        (
            "task=read size=1M segments=17",
            "segments=17: 1048576 bytes are not cut into so many equal pieces of whole sectors, of at most 65536 bytes",
        ),
        (
            "task=read size=4K segments=3",
            "segments=3: 4096 bytes are not cut into so many equal pieces of whole sectors, of at most 65536 bytes",
        ),
    ],
)
def test_bad_command_lines(words: str, problem: str, disk: Path) -> None:
    done = boot(words, *drive(disk))
    assert (errors(done), done.status) == ([f"command line: {problem}"], KernelStatus.USAGE)


def test_an_unknown_option() -> None:
    (error,) = errors(boot("task=compute colour=red"))
    assert error.startswith("command line: colour=red: no such option; there are task name files ")


# Going wrong on purpose.


@MACHINES
@pytest.mark.parametrize(
    ("kind", "last_words"),
    [
        ("panic", "panic: told to"),
        ("store", r"panic: store to an address that is not mapped: .* BadVAddr 0x00bad000 .*"),
        ("jump", r"panic: reserved instruction: .* EPC 0xc000.000 .*"),
        ("memory", "panic: out of memory: 1 pages wanted, 0 left"),
        ("registers", "panic: the devices' registers are full of noise"),
        ("queue", "panic: the disk took a request without an end: the device needs a reset"),
    ],
)
def test_crashes(kind: str, last_words: str, engine: str, kernel: Path, disk: Path) -> None:
    done = boot(f"task=crash kind={kind}", *drive(disk), kernel=kernel, engine=engine, memory="8M")
    assert re.fullmatch(last_words, done.output.splitlines()[-1])
    assert (done.status, done.errors) == (KernelStatus.PANIC, "")


def test_a_crash_after_work(disk: Path) -> None:
    done = boot("task=checksum,crash,compute files=first", *drive(disk))
    assert results(done)[1:] == [checksum_line(VOLUME.files[0]), "crash: kind=panic", "panic: told to"]


def test_halting_ends_the_machine() -> None:
    done = boot("task=crash kind=halt")
    assert (done.status, done.output.splitlines()[-1]) == (0, "crash: kind=halt")


@ENGINES
@pytest.mark.parametrize("kind", ["spin", "noise"])
def test_endless_crashes_can_be_stopped(kind: str, engine: str) -> None:
    """A loop with interrupts off; exceptions whose handler is noise, without end."""
    words = ("--memory", "4M", "--kernel", KERNEL, "--engine", engine, "--append", f"task=crash kind={kind}")
    with subprocess.Popen(
        launcher("boot", *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=REPOSITORY
    ) as process:
        assert process.stdout is not None
        while (line := process.stdout.readline()) != f"crash: kind={kind}\n".encode():
            assert line
        time.sleep(0.2)  # the guest is to be well into it
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM


# Another machine.


@pytest.mark.parametrize("byte_order", ["mipsel", "mips"])
def test_on_qemu(byte_order: str, program: Callable[[str], str]) -> None:
    """The instruction that is a monitor call is a reserved one there, and the TLB has 16 entries."""
    kernel = {"mipsel": KERNEL, "mips": KERNEL_BIG_ENDIAN}[byte_order]
    words = [
        program(f"qemu-system-{byte_order}"),
        *["-M", "malta", "-cpu", "24Kf", "-m", "64M", "-no-reboot", "-nodefaults"],
    ]
    words += [
        *[
            "-display",
            "none",
            "-monitor",
            "none",
            "-serial",
            "null",
            "-serial",
            "null",
            "-serial",
            "stdio",
            "-kernel",
        ],
        str(kernel),
    ]
    done = subprocess.run(
        [*words, "-append", "task=all,crash rounds=9 kind=jump"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()
    assert lines[1:5] == [
        "error: checksum: no disk",
        "error: write: no disk",
        compute_line(9),
        "crash: kind=jump",
    ]
    assert len(lines) == 6 and lines[5].startswith("panic: reserved instruction: ")
    assert done.returncode == 0
