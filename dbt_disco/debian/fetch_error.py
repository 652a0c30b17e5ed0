"""Why the Debian guest cannot be had."""

from __future__ import annotations

from dbt_disco.command_error import CommandError


class FetchError(CommandError):
    """One line for the user: what is missing or went wrong, and what to do."""
