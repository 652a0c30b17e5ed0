"""Reading packages, against dpkg; what is taken from them."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_disco.debian.deb_file import data_archive, install_path, regular_files
from dbt_disco.debian.fetch_error import FetchError
from dbt_disco.debian.kernel_package import MODULES, read_kernel_package
from dbt_disco.debian.package_set import find_packages
from dbt_disco.debian.packages import newest_kernel
from tests.dbt_disco.debian.packages import (
    DEPENDS,
    directory,
    entry,
    write_guest_packages,
    write_kernel_package,
    write_package,
)


@pytest.mark.parametrize("compression", ["xz", "gzip", "none"])
def test_a_package_built_by_dpkg(compression: str, tmp_path: Path, program: Callable[[str], str]) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: some\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b>\nDescription: test\n"
    )
    (tree / "usr").mkdir()
    (tree / "usr" / "one").write_bytes(b"1" * 1001)
    (tree / "usr" / "two").write_bytes(b"")
    (tree / "usr" / "link").symlink_to("one")
    package = tmp_path / "some.deb"
    subprocess.run([program("dpkg-deb"), f"-Z{compression}", "--build", tree, package], check=True)
    assert dict(regular_files(package, lambda path: True)) == {"usr/one": b"1" * 1001, "usr/two": b""}
    with data_archive(package) as archive:
        assert {install_path(member) for member in archive} == {"", "usr", "usr/link", "usr/one", "usr/two"}


def test_dpkg_reads_what_the_tests_write(tmp_path: Path, program: Callable[[str], str]) -> None:
    package = write_package(tmp_path / "a.deb", [directory("etc"), (entry("etc/odd"), b"odd")])
    command = [program("dpkg-deb"), "--fsys-tarfile", package]
    assert b"./etc/odd" in subprocess.run(command, check=True, capture_output=True).stdout


def test_damaged_packages(tmp_path: Path) -> None:
    package = write_package(tmp_path / "a.deb", [(entry("etc/odd"), random.Random(1).randbytes(5000))])
    data = package.read_bytes()
    for damage in (
        b"",
        b"garbage",
        data[:40],
        data[:200],
        data[:-1000],
        data[:8],
        data.replace(b"data.tar", b"dada.tar"),
    ):
        package.write_bytes(damage)
        with pytest.raises(FetchError) as raised:
            list(regular_files(package, lambda path: True))
        assert str(raised.value).startswith(f"{package}: damaged Debian package: ")
        assert "\n" not in str(raised.value)
    choices = random.Random(2)
    for _ in range(200):
        damaged = bytearray(data)
        damaged[choices.randrange(len(data))] ^= 1 << choices.randrange(8)
        package.write_bytes(damaged)
        try:
            list(regular_files(package, lambda path: True))
        except FetchError as error:
            assert "\n" not in str(error)
    with pytest.raises(FetchError, match="No such file"):
        data_archive(tmp_path / "none.deb")


def test_kernel_and_modules(tmp_path: Path, program: Callable[[str], str]) -> None:
    package = write_kernel_package(tmp_path / "kernel.deb", program, vmlinuz=b"the kernel")
    kernel = read_kernel_package(package)
    assert kernel.vmlinuz == b"the kernel"
    assert list(kernel.modules) == [f"{name}.ko" for name in MODULES]
    assert kernel.modules["ext4.ko"] == (tmp_path / "ext4.ko").read_bytes()


def test_modules_in_the_wrong_order(tmp_path: Path, program: Callable[[str], str]) -> None:
    package = write_kernel_package(tmp_path / "kernel.deb", program)
    with pytest.raises(FetchError, match=r"virtio_blk\.ko needs virtio, virtio_ring to be loaded before"):
        read_kernel_package(package, ["virtio_blk", "virtio", "virtio_ring"])
    with pytest.raises(FetchError, match=r"has no module nosuch\.ko"):
        read_kernel_package(package, ["virtio", "nosuch"])
    assert set(DEPENDS) < set(MODULES)


def test_newest_kernel() -> None:
    names = [
        "linux-image-6.1.0-9-mips32r2el",
        "linux-image-6.1.0-10-mips32r2el",
        "linux-image-6.1.0-11-4kc-malta",
    ]
    names += ["linux-image-6.1.0-12-mips32r2el-dbg", "linux-image-mips32r2el"]
    assert newest_kernel(names) == "linux-image-6.1.0-10-mips32r2el"
    assert newest_kernel(names[2:]) is None


def test_packages_put_there_by_hand(tmp_path: Path, program: Callable[[str], str]) -> None:
    where = tmp_path / "packages"
    write_guest_packages(where, program)
    found = find_packages(where)
    assert found is not None
    assert found.kernel.name.startswith("linux-image-6.1.0-9-") and found.busybox in found.user_land
    assert found.kernel not in found.user_land
    (where / "vim_9_mipsel.deb").write_bytes(b"")
    found = find_packages(where)
    assert found is not None and where / "vim_9_mipsel.deb" in found.user_land
    (where / "bash_7_mipsel.deb").write_bytes(b"")
    with pytest.raises(
        FetchError, match=r"two versions of a package, bash_1%3a1\.0_mipsel\.deb and bash_7_mipsel\.deb"
    ):
        find_packages(where)
    for path in where.glob("bash_*"):
        path.unlink()
    assert find_packages(where) is None
