"""The initramfs' script and the root disk, under Debian's Malta kernel on QEMU."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_disco.debian.apt import ArchiveSource
from dbt_disco.debian.guest_files import GuestFiles
from dbt_disco.debian.malta import MaltaFiles, fetch_malta
from dbt_disco.debian.package_set import find_packages
from dbt_disco.debian.progress import show_progress
from tests.dbt_disco.console import converse

pytestmark = pytest.mark.slow

SECTOR = 512

Boot = Callable[..., str]


@pytest.fixture(scope="module")
def malta(debian_guest: GuestFiles, debian_source: ArchiveSource) -> MaltaFiles:
    packages = find_packages(debian_guest.packages)
    assert packages is not None
    with show_progress() as progress:
        return fetch_malta(debian_guest.directory / "malta", packages, debian_source, progress)


@pytest.fixture
def boot(malta: MaltaFiles, program: Callable[[str], str]) -> Boot:
    """Boots with an addition to the kernel command line and disks; returns what the console showed."""

    def run(append: str, *disks: Path, typed: str = "", prompt: str = "/ # ") -> str:
        command = [program("qemu-system-mipsel"), "-M", "malta", "-cpu", "24Kf", "-m", "256M", "-no-reboot"]
        command += ["-nographic", "-vga", "none", "-nic", "none", "-kernel", str(malta.kernel)]
        command += ["-initrd", str(malta.initramfs), "-append", f"console=ttyS0 nokaslr quiet {append}"]
        for number, disk in enumerate(disks):
            command += ["-drive", f"file={disk},format=raw,if=none,id=d{number}"]
            command += ["-device", f"virtio-blk-pci,drive=d{number}"]
        return converse(command, typed, prompt)

    return run


@pytest.fixture
def disk(debian_guest: GuestFiles, tmp_path: Path) -> Path:
    copy = tmp_path / "root.ext4"
    subprocess.run(["cp", "--sparse=always", debian_guest.root_disk, copy], check=True)
    return copy


def script(tmp_path: Path, text: str) -> Path:
    """A disk that holds a script."""
    path = tmp_path / "script"
    data = text.encode()
    path.write_bytes(data + b"\n" * (-len(data) % SECTOR))
    return path


def test_a_script_on_the_root_disk(
    boot: Boot, disk: Path, tmp_path: Path, program: Callable[[str], str]
) -> None:
    text = """
        set -e
        echo "user $(id -u) shell $BASH_VERSION"
        python3 -c 'import hashlib, re; print("python", hashlib.sha256(b"x").hexdigest()[:8], re.escape("."))'
        perl -e 'print "perl ", 6 * 7, "\\n"'
        awk 'BEGIN { print "awk", 3 * 7 }'
        ps -e -o comm= | grep -c init
        ping -c 1 127.0.0.1 >/run/ping && echo ping
        ip -brief address show lo
        findmnt -no FSTYPE,OPTIONS / | tr , '\\n' | head -1
        which bash; hostname; ls -ld /tmp /var/local /etc/passwd | cut -c1-25
        touch ~/was-here; cp /usr/bin/bash ~/copy; sync; cmp /usr/bin/bash ~/copy && echo same
        exit 3
    """
    shown = boot("dbt.run=/dev/vdb", disk, script(tmp_path, text))
    for expected in (
        "user 0 shell 5.2",
        "python 2d711642 \\.",
        "perl 42",
        "awk 21",
        "\nping\n",
        "127.0.0.1/8",
        "ext4   rw",
        "/usr/bin/bash\ndebian\n",
        "drwxrwxrwt",
        "same\nstart: /dev/vdb: exit status 3\n",
    ):
        assert expected in shown, shown
    subprocess.run([program("e2fsck"), "-f", "-n", disk], check=True, capture_output=True)
    listing = subprocess.run(
        [program("debugfs"), "-R", "ls /root", disk], capture_output=True, text=True
    ).stdout
    assert "was-here" in listing


def test_a_script_in_the_initramfs(boot: Boot, tmp_path: Path) -> None:
    shown = boot(
        "shell dbt.run=/dev/vda", script(tmp_path, "lsmod | wc -l; ls -l /dev/console; mount | wc -l")
    )
    assert re.search(r"\n18\n.* 5, +1 .*/dev/console\n6\n", shown), shown


def test_the_network_is_set_up_from_the_command_line(boot: Boot, tmp_path: Path) -> None:
    shown = boot(
        "shell dbt.run=/dev/vda ip=10.9.8.7::10.9.8.1:255.255.255.0:host:lo:off:10.9.8.3",
        script(tmp_path, "hostname; ip address show lo; cat /run/resolv.conf; ip route"),
    )
    assert "\nhost\n" in shown and "inet 10.9.8.7/24" in shown and "nameserver 10.9.8.3" in shown
    assert "default via 10.9.8.1" in shown


@pytest.mark.parametrize(
    ("append", "message"),
    [
        ("root=/dev/vdz", "init: /dev/vdz: there is no such disk"),
        ("root=/dev/vdb", "init: /dev/vdb: not mounted"),
        ("init=/none", "init: /dev/vda has no /none"),
    ],
)
def test_what_is_wrong_with_the_root_disk_is_said(
    append: str, message: str, boot: Boot, disk: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.write_bytes(bytes(1 << 20))
    shown = boot(append, disk, empty, typed="exit\n")
    assert message in shown and "built-in shell" in shown


def test_the_console_is_a_root_shell_with_job_control(boot: Boot, disk: Path) -> None:
    shown = boot("", disk, typed="tty; id -un; sleep 9 & jobs; kill %1; reboot\n", prompt="root@debian:~# ")
    assert "\n/dev/ttyS0\n" in shown and "\x1b[?2004h" not in shown and "\nroot\n" in shown
    assert "Running" in shown and "no job control" not in shown
    assert "Requesting system reboot" in shown


def test_an_unclean_disk_is_recovered(boot: Boot, disk: Path, tmp_path: Path) -> None:
    """A machine that is reset without unmounting; the next one replays the journal."""
    shutil.copy(script(tmp_path, "echo 1 >~/one; sync; busybox reboot -f"), tmp_path / "first")
    boot("dbt.run=/dev/vdb", disk, tmp_path / "first")
    shown = boot("dbt.run=/dev/vdb", disk, script(tmp_path, "cat ~/one; dmesg | grep -i recover"))
    assert "\n1\n" in shown and "recovery complete" in shown
