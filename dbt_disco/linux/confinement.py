"""Guests that take from their process what we need ourselves: it is our process, too.

Modules that few runs need are imported late, and the compile worker is started late. Once the guest has another root
directory, other rights, or no descriptor to spare, it would be too late.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

CONFINING_CALLS: Final = frozenset({"chroot", "setuid", "setreuid", "setresuid", "setfsuid"})
"""Host calls after which our files may be out of reach."""

_LATE_MODULES: Final = (
    "dbt_disco.statistics",
    "encodings.latin_1",
    "encodings.unicode_escape",
    "runtime.compile_service",
    "runtime.worker_process",
    "tempfile",
    "translator.float_unit",
)


def import_late_modules() -> None:
    """Import what is otherwise imported when it is first used, while the guest runs."""
    from translator.decode import decode

    for name in _LATE_MODULES:
        import_module(name)
    decode(0)  # which imports capstone
