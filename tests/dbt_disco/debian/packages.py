"""Packages made for tests: small ones, with the names of those that the guest is made of."""

from __future__ import annotations

import io
import lzma
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

from dbt_disco.debian.kernel_package import MODULES
from dbt_disco.debian.packages import BUSYBOX, DEPENDENCIES, USER_LAND
from tests.dbt_disco.commands.command import HELLO

TIME = 1_700_000_000


def entry(path: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, **fields: object) -> tarfile.TarInfo:
    """A tar header as dpkg makes them."""
    member = tarfile.TarInfo(f"./{path}")
    member.type, member.mode, member.mtime = kind, mode, TIME
    for name, value in fields.items():
        setattr(member, name, value)
    return member


def directory(path: str, mode: int = 0o755, **fields: object) -> tarfile.TarInfo:
    return entry(path, tarfile.DIRTYPE, mode, **fields)


def write_package(path: Path, members: Iterable[tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]]) -> Path:
    """Write a Debian package with these files."""
    control = (entry("control"), f"Package: {path.name.partition('_')[0]}\nVersion: 1\n".encode())
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": _archive([control]),
        "data.tar.xz": _archive(members),
    }
    contents = b"!<arch>\n"
    for name, part in parts.items():
        contents += f"{name:16}{TIME:<12}{0:<6}{0:<6}{'100644':8}{len(part):<10}`\n".encode()
        contents += part + b"\n" * (len(part) % 2)
    path.write_bytes(contents)
    return path


def _archive(members: Iterable[tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]]) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for item in members:
            member, contents = item if isinstance(item, tuple) else (item, b"")
            member.size = len(contents)
            archive.addfile(member, io.BytesIO(contents))
    return lzma.compress(output.getvalue(), preset=0)


def write_module(path: Path, depends: str, assembler: str) -> bytes:
    """A kernel module with nothing in it but what it depends on."""
    source = f'.section .modinfo, "a"\n.asciz "license=GPL"\n.asciz "depends={depends}"\n.asciz "name={path.stem}"\n'
    subprocess.run([assembler, "-o", path, "-"], input=source, text=True, check=True)
    return path.read_bytes()


DEPENDS = {
    "virtio_ring": "virtio",
    "virtio_mmio": "virtio,virtio_ring",
    "virtio_blk": "virtio,virtio_ring",
    "ext4": "jbd2,crc16,mbcache",
    "net_failover": "failover",
    "virtio_net": "net_failover,virtio,virtio_ring",
    "virtio-rng": "virtio",
}
"""What some of the real modules depend on."""


def write_kernel_package(
    path: Path, program: Callable[[str], str], modules: Iterable[str] = MODULES, vmlinuz: bytes = b"vmlinuz"
) -> Path:
    """A kernel package with these modules, in the reverse of their order."""
    assembler = program("mipsel-linux-gnu-as")
    root = "lib/modules/6.1.0-9-mips32r2el"
    files = [(entry("boot/vmlinuz-6.1.0-9-mips32r2el"), vmlinuz)]
    for name in sorted(modules, reverse=True):
        contents = write_module(path.with_name(f"{name}.ko"), DEPENDS.get(name, ""), assembler)
        files.append((entry(f"{root}/kernel/{name}.ko"), contents))
    return write_package(path, files)


def write_guest_packages(where: Path, program: Callable[[str], str]) -> None:
    """All packages that the guest needs, with next to nothing in them; busybox is a program that says hello."""
    where.mkdir(parents=True)
    contents = {
        BUSYBOX: [(entry("bin/busybox", mode=0o755), HELLO.read_bytes())],
        "base-files": [
            directory("", 0o755),
            directory("bin"),
            directory("root", 0o700),
            directory("tmp", 0o1777),
            directory("var/local", 0o2775, gid=50),
            (entry("usr/share/base-files/profile"), b"# profile\n"),
            (entry("usr/share/base-files/dot.bashrc"), b"# bashrc\n"),
            (entry("usr/share/base-files/dot.profile"), b"# profile\n"),
        ],
        "base-passwd": [
            (entry("usr/share/base-passwd/passwd.master"), b"root:*:0:0:root:/root:/bin/bash\n"),
            (entry("usr/share/base-passwd/group.master"), b"root:*:0:\n"),
        ],
    }
    for name in (BUSYBOX, *USER_LAND, *DEPENDENCIES):
        default = [(entry(f"usr/share/doc/{name}/copyright"), name.encode())]
        write_package(where / f"{name}_1%3a1.0_mipsel.deb", contents.get(name, default))
    modules = where.parent / "modules"
    modules.mkdir()
    kernel = write_kernel_package(modules / "linux-image-6.1.0-9-mips32r2el_6.1.1_mipsel.deb", program)
    kernel.rename(where / kernel.name)
