"""`dbt-disco fetch`: get an operating system for a virtual machine, ready to boot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbt_disco.command_error import CommandError
from dbt_disco.debian.packages import ARCHITECTURE, SUITE

if TYPE_CHECKING:
    from dbt_disco.argument_parser import ArgumentParser
    from dbt_disco.debian.apt import ArchiveSource
    from dbt_disco.debian.guest_files import GuestFiles


def add_parser(subparsers: Any) -> ArgumentParser:
    """Declare the options."""
    parser: ArgumentParser = subparsers.add_parser(
        "fetch",
        help="get an operating system to boot",
        description="Download Debian's kernel and a small user land with the host's own apt (nothing is installed, "
        "and no root is needed), and make an initramfs and a root disk of them. What is there already stays.",
    )
    option = parser.add_argument
    option("guest", choices=("debian",), help="the guest to get")
    option("--dir", type=Path, metavar="DIR", help="where to keep everything (default: in the user's cache)")
    option("--mirror", metavar="URL", help="Debian archive to download from (default: this host's)")
    option("--suite", default=SUITE, metavar="NAME", help=f"suite of the archive (default: {SUITE})")
    option(
        "--keyring",
        type=Path,
        metavar="FILE",
        help="keys of the archive (default: Debian's, as installed here)",
    )
    return parser


def execute(options: Any) -> int:
    """Fetch what is missing, and say where everything is."""
    from dbt_disco.debian.guest_files import GuestFiles, default_directory

    guest = GuestFiles((options.dir or default_directory()).absolute())
    if guest.missing():
        try:
            _fetch(guest, options)
        except OSError as error:
            raise CommandError(f"{error.filename or guest.directory}: {error.strerror or error}") from error
    else:
        print(f"{guest.directory} is complete; remove what is to be made anew")
    for what, path in (
        ("kernel", guest.kernel),
        ("initramfs", guest.initramfs),
        ("root disk", guest.root_disk),
    ):
        print(f"{what + ':':11}{path}")
    return 0


def _fetch(guest: GuestFiles, options: Any) -> None:
    from dbt_disco.debian.fetch import fetch_debian
    from dbt_disco.debian.progress import show_progress

    with show_progress() as progress:
        fetch_debian(guest, _source(options), progress)


def _source(options: Any) -> ArchiveSource | None:
    from dbt_disco.debian.apt import KEYRING, ArchiveSource, host_mirror

    mirror = options.mirror or host_mirror()
    if mirror is None:
        return None
    return ArchiveSource(mirror, options.suite, (options.keyring or KEYRING).absolute(), ARCHITECTURE)
