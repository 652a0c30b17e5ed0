"""`dbt-disco fetch debian` as a user sees it; the slow tests download the real packages."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_disco.debian.apt import Apt, ArchiveSource, apt_is_installed
from dbt_disco.debian.guest_files import GuestFiles
from dbt_disco.debian.packages import (
    BUSYBOX,
    DEPENDENCIES,
    KERNEL_PREFIX,
    NOT_IN_GUEST,
    USER_LAND,
    newest_kernel,
)
from tests.dbt_disco.commands.command import REPOSITORY, Done, command, launcher
from tests.dbt_disco.debian.packages import write_guest_packages

Program = Callable[[str], str]
Fetch = Callable[[], Done]


@pytest.fixture
def guest(tmp_path: Path) -> GuestFiles:
    return GuestFiles(tmp_path / "guest")


@pytest.fixture
def fetch(guest: GuestFiles, program: Program, tmp_path: Path) -> Fetch:
    """Runs the command on a host with e2fsprogs and nothing else: without apt, without dpkg."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("mke2fs", "debugfs"):
        (tools / name).symlink_to(program(name))

    def run() -> Done:
        return command("fetch", "debian", "--dir", guest.directory, env=os.environ | {"PATH": str(tools)})

    return run


def test_packages_downloaded_by_hand(guest: GuestFiles, fetch: Fetch, program: Program) -> None:
    missing = fetch()
    assert missing.status == 1
    message = missing.error_line()
    assert message.startswith(
        "this host has no apt; download these packages of Debian bookworm (mipsel or all) to "
    )
    assert str(guest.packages) in message and guest.packages.is_dir()
    names = set(message.partition(" again: ")[2].split(", "))
    assert names == {f"{KERNEL_PREFIX}*-mips32r2el (the newest)", BUSYBOX, *USER_LAND, *DEPENDENCIES}
    guest.packages.rmdir()
    write_guest_packages(guest.packages, program)
    done = fetch()
    assert (done.status, guest.missing()) == (0, [])
    assert done.errors.splitlines() == ["kernel and initramfs", "root disk: files", "root disk: image"]
    assert [line.split(":")[0] for line in done.output.splitlines()] == ["kernel", "initramfs", "root disk"]
    assert guest.kernel.read_bytes() == b"vmlinuz"
    assert not (guest.directory / "unfinished").exists()


def test_what_is_there_stays(guest: GuestFiles, fetch: Fetch, program: Program) -> None:
    write_guest_packages(guest.packages, program)
    assert fetch().status == 0
    guest.root_disk.write_bytes(b"the guest's own")
    guest.initramfs.unlink()
    done = fetch()
    assert (done.status, guest.missing()) == (0, [])
    assert guest.root_disk.read_bytes() == b"the guest's own"
    done = fetch()
    assert (
        done.status == 0 and not done.errors and "is complete; remove what is to be made anew" in done.output
    )


def test_an_interrupted_fetch_is_taken_up(guest: GuestFiles, fetch: Fetch, program: Program) -> None:
    write_guest_packages(guest.packages, program)
    unfinished = guest.directory / "unfinished"
    (unfinished / "root" / "usr").mkdir(parents=True)
    (unfinished / "root.ext4").write_bytes(b"half")
    assert fetch().status == 0
    assert guest.root_disk.stat().st_size > 1 << 20 and not unfinished.exists()


def test_one_at_a_time(guest: GuestFiles, fetch: Fetch) -> None:
    guest.directory.mkdir()
    with open(guest.directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another `dbt-disco fetch` is at work there" in fetch().error_line()


def test_errors(guest: GuestFiles, fetch: Fetch, program: Program, tmp_path: Path) -> None:
    write_guest_packages(guest.packages, program)
    damaged = next(guest.packages.glob("coreutils_*"))
    damaged.write_bytes(damaged.read_bytes()[:-10])
    assert f"{damaged}: damaged Debian package" in fetch().errors.splitlines()[-1]
    (tmp_path / "file").touch()
    done = command("fetch", "debian", "--dir", tmp_path / "file" / "x")
    assert (done.status, done.error_line()) == (1, f"{tmp_path / 'file' / 'x' / 'packages'}: Not a directory")
    assert command("fetch", "plan9").status == 2
    assert command("fetch").status == 2


@pytest.mark.skipif(not apt_is_installed(), reason="apt is not installed")
def test_apt_that_finds_nothing(guest: GuestFiles) -> None:
    """Offline: an archive that is not there, and keys that are not."""
    words = ("fetch", "debian", "--dir", guest.directory, "--mirror", "file:/nowhere")
    done = command(*words, "--keyring", "/nowhere/keys")
    assert done.error_line().startswith("/nowhere/keys: no such file; install debian-archive-keyring")
    (guest.directory / "keys").write_bytes(b"")
    done = command(*words, "--keyring", guest.directory / "keys")
    first, last = done.errors.splitlines()
    assert first == "list of packages: file:/nowhere bookworm"
    assert last.startswith("dbt-disco: apt-get: ") and "file:/nowhere" in last


def test_bars_on_a_terminal(guest: GuestFiles, program: Program) -> None:
    write_guest_packages(guest.packages, program)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        launcher("fetch", "debian", "--dir", guest.directory),
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # which says that the other end is closed
        while data := os.read(ours, 4096):
            shown += data
    os.close(ours)
    assert process.wait(60) == 0
    assert "root disk: files" in shown.decode() and "100%" in shown.decode() and "━" in shown.decode()


@pytest.mark.slow
def test_what_the_guest_depends_on(tmp_path: Path, debian_source: ArchiveSource) -> None:
    """The list for those without apt is what apt finds."""
    apt = Apt(tmp_path, debian_source, installed=NOT_IN_GUEST)
    apt.update(lambda fraction: None)
    kernel = newest_kernel(apt.names(KERNEL_PREFIX))
    assert kernel is not None
    needed = {package.file_name.partition("_")[0] for package in apt.needed([kernel, BUSYBOX, *USER_LAND])}
    assert needed == {kernel, BUSYBOX, *USER_LAND, *DEPENDENCIES}


@pytest.mark.slow
@pytest.mark.usefixtures("debian_source")
def test_the_real_packages_after_interruptions(guest: GuestFiles, program: Program) -> None:
    words = launcher("fetch", "debian", "--dir", guest.directory)
    for seconds in (1, 3, 5):
        process = subprocess.Popen(
            words,
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    done = command("fetch", "debian", "--dir", guest.directory, timeout=900)
    assert (done.status, guest.missing()) == (0, []), done.errors
    header = subprocess.run(
        [program("dumpe2fs"), "-h", guest.root_disk], capture_output=True, text=True
    ).stdout
    blocks, free = (
        int(re.findall(rf"^{name}: +(\d+)", header, re.M)[0]) for name in ("Block count", "Free blocks")
    )
    assert (blocks - free) * 4096 < 300_000_000
    subprocess.run([program("e2fsck"), "-f", "-n", guest.root_disk], check=True, capture_output=True)
