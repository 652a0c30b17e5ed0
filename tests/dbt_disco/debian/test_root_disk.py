"""The root disk: its files from packages, and the image, as e2fsprogs' own tools see it."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_disco.debian.ext4_image import make_ext4_image
from dbt_disco.debian.fetch_error import FetchError
from dbt_disco.debian.package_set import find_packages
from dbt_disco.debian.root_file_system import Owner, RootFileSystem
from tests.dbt_disco.debian.packages import TIME, directory, entry, write_guest_packages, write_package

Member = tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]


def unpacked(tmp_path: Path, *members: Member) -> RootFileSystem:
    files = RootFileSystem(tmp_path / "root")
    files.unpack([write_package(tmp_path / "a.deb", members)], lambda fraction: None)
    return files


def test_unpacking(tmp_path: Path) -> None:
    files = unpacked(
        tmp_path,
        directory("bin"),
        (entry("bin/su", mode=0o4755), b"su"),
        entry("bin/hard", tarfile.LNKTYPE, linkname="./bin/su"),
        entry("usr/bin/soft", tarfile.SYMTYPE, 0o777, linkname="../nowhere"),
        directory("var/local", 0o2775, uid=7, gid=50),
        (entry("var/local/file", uid=7), b""),
    )
    root = files.root
    assert (root / "bin").readlink() == Path("usr/bin")
    assert (root / "usr" / "bin" / "su").read_bytes() == b"su"
    assert (root / "usr" / "bin" / "su").stat().st_mode & 0o7777 == 0o4755
    assert (root / "bin" / "hard").samefile(root / "bin" / "su")
    assert (root / "usr" / "bin" / "soft").readlink() == Path("../nowhere")
    assert (root / "var" / "local").stat().st_mode & 0o7777 == 0o2775
    assert files.owners == {"var/local": Owner(7, 50), "var/local/file": Owner(7, 0)}
    for path in ("bin/su", "bin/soft", "var/local"):
        assert (root / path).lstat().st_mtime == TIME


def test_a_later_package_replaces_files_but_not_links_to_directories(tmp_path: Path) -> None:
    first = write_package(
        tmp_path / "a.deb",
        [
            directory("data", 0o700),
            entry("link", tarfile.SYMTYPE, 0o777, linkname="data"),
            (entry("file", mode=0o400), b"old"),
        ],
    )
    second = write_package(
        tmp_path / "b.deb", [directory("link"), (entry("link/x"), b"x"), (entry("file"), b"new")]
    )
    files = RootFileSystem(tmp_path / "root")
    files.unpack([first, second], lambda fraction: None)
    assert (files.root / "data" / "x").read_bytes() == b"x"
    assert (files.root / "data").stat().st_mode & 0o777 == 0o700
    assert (files.root / "file").read_bytes() == b"new"


@pytest.mark.parametrize(
    "members",
    [
        [entry("out", tarfile.SYMTYPE, linkname="/OUTSIDE"), (entry("out/file"), b"evil")],
        [entry("out", tarfile.SYMTYPE, linkname="../OUTSIDE"), (entry("out/file"), b"evil")],
        [entry("out", tarfile.SYMTYPE, linkname="/OUTSIDE"), directory("out/file")],
        [
            entry("out", tarfile.SYMTYPE, linkname="/OUTSIDE"),
            entry("x", tarfile.LNKTYPE, linkname="./out/precious"),
        ],
        [entry("device", tarfile.CHRTYPE)],
    ],
)
def test_a_package_changes_nothing_outside_of_the_tree(members: list[Member], tmp_path: Path) -> None:
    outside = tmp_path / "OUTSIDE"
    outside.mkdir(0o700)
    (outside / "precious").write_bytes(b"1")
    for member in members:
        header = member[0] if isinstance(member, tuple) else member
        header.linkname = (
            header.linkname.replace("/OUTSIDE", str(outside))
            if header.linkname[:1] == "/"
            else header.linkname
        )
    with pytest.raises(FetchError, match="damaged Debian package"):
        unpacked(tmp_path, *members)
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").stat().st_nlink == 1


def test_names_do_not_lead_outside_either(tmp_path: Path) -> None:
    files = unpacked(tmp_path, (entry("../../evil"), b"x"), (entry("/etc/absolute"), b"y"))
    assert (files.root / "evil").exists() and (files.root / "etc" / "absolute").exists()
    assert not (tmp_path / "evil").exists()


@pytest.fixture
def debugfs(program: Callable[[str], str]) -> Callable[[Path, str], str]:
    path = program("debugfs")

    def run(image: Path, request: str) -> str:
        done = subprocess.run([path, "-R", request, image], capture_output=True, text=True, check=True)
        return done.stdout

    return run


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_configured_and_made_an_image(
    umask: int, tmp_path: Path, program: Callable[[str], str], debugfs: Callable[[Path, str], str]
) -> None:
    write_guest_packages(tmp_path / "packages", program)
    packages = find_packages(tmp_path / "packages")
    assert packages is not None
    before = os.umask(umask)
    try:
        files = RootFileSystem(tmp_path / "root")
        files.unpack(packages.user_land, lambda fraction: None)
        files.configure()
    finally:
        os.umask(before)
    odd = files.root / 'a "quoted" name'
    odd.write_bytes(b"odd")
    if os.geteuid() == 0:
        os.chown(odd, 1234, 1234)
    image = tmp_path / "image"
    make_ext4_image(files.root, files.owners, image, 32 << 20)
    subprocess.run([program("e2fsck"), "-f", "-n", image], check=True, capture_output=True)
    assert image.stat().st_size == 32 << 20
    header = subprocess.run([program("dumpe2fs"), "-h", image], capture_output=True, text=True).stdout
    assert re.search(r"^Block size: +4096$", header, re.M) and "has_journal" in header

    def stat(path: str) -> tuple[int, int, int]:
        text = debugfs(image, f'stat "{path}"')
        mode = re.search(r"Mode: +(\d+)", text)
        owner = re.search(r"User: +(\d+) +Group: +(\d+)", text)
        assert mode and owner, text
        return int(mode[1], 8), int(owner[1]), int(owner[2])

    expected = {
        "/": (0o755, 0, 0),
        "/lost+found": (0o700, 0, 0),
        "/root": (0o700, 0, 0),
        "/tmp": (0o1777, 0, 0),
        "/proc": (0o555, 0, 0),
        "/var/local": (0o2775, 0, 50),
        "/etc/passwd": (0o644, 0, 0),
        "/etc/inittab": (0o644, 0, 0),
        "/usr/lib": (0o755, 0, 0),
        "/usr/lib/dbt-disco/start": (0o755, 0, 0),
        "/usr/bin/busybox": (0o755, 0, 0),
        '/a ""quoted"" name': (stat('/a ""quoted"" name')[0], 0, 0),
    }
    assert {path: stat(path) for path in expected} == expected
    assert debugfs(image, "cat /etc/hostname") == "debian\n"
    assert '"../bin/busybox"' in debugfs(image, "stat /usr/sbin/init")


def test_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = unpacked(tmp_path, (entry("file"), os.urandom(3 << 20)))
    with pytest.raises(FetchError, match="no package has it, but etc/group is made from it"):
        files.configure()
    with pytest.raises(FetchError, match="mke2fs: ") as raised:
        make_ext4_image(files.root, {}, tmp_path / "image", 1 << 20)
    assert "\n" not in str(raised.value)
    monkeypatch.setattr("shutil.which", lambda *words, **options: None)
    with pytest.raises(FetchError, match="mke2fs: not found; install e2fsprogs"):
        make_ext4_image(files.root, {}, tmp_path / "image", 32 << 20)
