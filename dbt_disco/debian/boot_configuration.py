"""How the Debian guest that `dbt-disco fetch debian` has made is booted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from dbt_disco.command_error import CommandError
from dbt_disco.debian.guest_files import GuestFiles, default_directory
from dbt_disco.disks.drive import Drive
from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.user_network_option import UserNetworkOption

DEBIAN_COMMAND_LINE: Final = (
    "console=ttyS0,115200 nokaslr cryptomgr.notests=1 init_on_alloc=0 page_reporting.page_reporting_order=0"
)
"""What Debian's stock kernel needs: a console; and not to spend billions of instructions on moving itself and on
testing its cryptography, nor to store to every page that it is about to fill, or keeps free."""
_NETWORK_COMMAND_LINE: Final = "ip={guest}::{gateway}:255.255.255.0::eth0:off:{name_server}"


def debian_configuration(configuration: Configuration, directory: Path | None = None) -> Configuration:
    """What is not given – kernel (`Path()`), initrd (None), root disk – is as `fetch debian` has made it.

    The command line is added to what Debian needs. CommandError if a file that is needed has not been fetched.
    """
    files = GuestFiles((directory or default_directory()).absolute())
    drives = configuration.drives
    if not any(_is_same_file(drive.file, files.root_disk) for drive in drives):
        drives = (Drive(files.root_disk), *drives)
    kernel = files.kernel if configuration.kernel == Path() else configuration.kernel
    initrd = configuration.initrd or files.initramfs
    needed = (kernel, initrd, *(drive.file for drive in drives))
    missing = [path for path in files.missing() if path in needed]
    if missing:
        where = f" --dir {directory}" if directory else ""
        raise CommandError(f"{missing[0]}: not there; `dbt-disco fetch debian{where}` makes it")
    return replace(
        configuration,
        kernel=kernel,
        initrd=initrd,
        drives=drives,
        command_line=_command_line(configuration.network, configuration.command_line),
    )


def _is_same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _command_line(network: UserNetworkOption | None, append: str) -> str:
    words = [DEBIAN_COMMAND_LINE]
    if network is not None:
        from dbt_disco.network.user_network import GATEWAY, GUEST, NAME_SERVER

        words.append(_NETWORK_COMMAND_LINE.format(guest=GUEST, gateway=GATEWAY, name_server=NAME_SERVER))
    return " ".join((*words, append)) if append else " ".join(words)
