"""Why a disk cannot be given to a virtual machine."""

from __future__ import annotations

from dbt_disco.command_error import CommandError


class DiskError(CommandError):
    """One line for the user: which file, what is wrong, what to do."""
