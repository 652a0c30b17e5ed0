"""Why the Debian guest cannot be had."""

from __future__ import annotations


class FetchError(Exception):
    """One line for the user: what is missing or went wrong, and what to do."""
