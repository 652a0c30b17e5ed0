"""Making an ext4 disk image from a directory, with e2fsprogs and without root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from dbt_disco.debian.fetch_error import FetchError
from dbt_disco.debian.root_file_system import ROOT, Owner

BLOCK_SIZE: Final = 4096
"""The guest's page size, so that disk reads are of whole pages (mke2fs takes 1 KiB for small disks)."""

_FEATURES: Final = (
    *(
        "none",
        "has_journal",
        "ext_attr",
        "resize_inode",
        "dir_index",
        "filetype",
        "extent",
        "64bit",
        "flex_bg",
    ),
    *("sparse_super", "large_file", "huge_file", "dir_nlink", "extra_isize", "metadata_csum"),
)
"""What ext4 has by default in Debian 12: a newer host's mke2fs may turn on what the guest's kernel does not know."""

_TIMEOUT: Final = 600


def make_ext4_image(
    root: Path, owners: Mapping[str, Owner], image: Path, size: int, *, label: str = "debian"
) -> None:
    """Make `image` an ext4 file system of `size` bytes holding the tree `root`.

    Everything belongs to the guest's root, but for what `owners` says (path relative to `root` → owner). Raises
    FetchError if a tool is missing or fails; `image` is then of no use.
    """
    with open(image, "wb") as file:
        file.truncate(size)
    _run(
        "mke2fs",
        *("-q", "-F", "-t", "ext4", "-b", str(BLOCK_SIZE), "-m", "0", "-L", label, "-O", ",".join(_FEATURES)),
        *("-E", "lazy_itable_init=0,lazy_journal_init=0", "-d", str(root), str(image)),
    )
    # mke2fs -d takes owners from the host, where everything belongs to whoever runs this.
    commands = image.with_name(f"{image.name}.owners")
    try:
        commands.write_text("".join(f"{line}\n" for line in _owner_commands(root, owners)))
        errors = _run("debugfs", "-w", "-f", str(commands), str(image)).splitlines()
    finally:
        commands.unlink(missing_ok=True)
    if errors[1:]:  # the first line is the version; debugfs exits with 0 whatever its commands do
        raise FetchError(f"debugfs: {errors[1]}")


def _owner_commands(root: Path, owners: Mapping[str, Owner]) -> Iterator[str]:
    """debugfs commands that give every file of the tree its owner (sif: set_inode_field)."""
    paths = ["", "lost+found"]
    for directory, directories, names in os.walk(root):
        relative = os.path.relpath(directory, root)
        paths += [os.path.normpath(os.path.join(relative, name)) for name in (*directories, *names)]
    for path in paths:
        owner = owners.get(path, ROOT)
        quoted = '"/' + path.replace('"', '""') + '"'
        yield f"sif {quoted} uid {owner.user}"
        yield f"sif {quoted} gid {owner.group}"


def _run(program: str, *words: str) -> str:
    """Run one of e2fsprogs' tools; returns its standard error."""
    # Users' search paths often lack the directories where distributions put it.
    path = shutil.which(
        program, path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    )
    if path is None:
        raise FetchError(f"{program}: not found; install e2fsprogs")
    done = subprocess.run([path, *words], capture_output=True, text=True, timeout=_TIMEOUT)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise FetchError(f"{program}: {last}")
    return done.stderr
