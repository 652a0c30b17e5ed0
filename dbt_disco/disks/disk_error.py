"""Why a disk cannot be given to a virtual machine."""

from __future__ import annotations


class DiskError(Exception):
    """One line for the user: which file, what is wrong, what to do."""
