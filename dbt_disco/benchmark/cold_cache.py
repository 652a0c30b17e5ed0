"""What our engines find in their cache when a benchmark is cold: their own code, and nothing of any program.

The interpreter, the fault handlers and the routine that starts the compile worker are native code too, generated
at the first run after an installation; and a kernel is unpacked when it is booted for the first time. No user waits
for that twice, so no timed run does.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dbt_disco.scratch_directory import ScratchDirectory
from dbt_disco.virtual_machine.compressed_kernel import unpacked_kernels
from runtime.disk_cache import engine_code


class ColdCache:
    """Gives each run a directory to be its $XDG_CACHE_HOME."""

    def __init__(self, prepared: Path) -> None:
        """`prepared`: where untimed runs leave the engines' own code."""
        self._prepared: Final = prepared

    @contextmanager
    def directory(self, *, timed: bool) -> Iterator[Path]:
        """For one run: one of its own with a copy of the engines' code if it is timed, else the prepared one.

        Kernels that have been unpacked are copied, too.
        """
        if not timed:
            yield self._prepared
            return
        with ScratchDirectory("dbt-disco-bench-") as scratch:
            for file in (*engine_code(self._prepared), *unpacked_kernels(self._prepared)):
                copy = Path(scratch, file.relative_to(self._prepared))
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
            yield Path(scratch)
