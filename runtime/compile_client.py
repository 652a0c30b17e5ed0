"""What one vCPU asks of the compile service, and what it is given."""

from __future__ import annotations

import queue
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from translator.translation import Translation
from translator.worker_messages import Extent

if TYPE_CHECKING:
    from runtime.compile_service import CompileService


class GuestCode(Protocol):
    """Where the worker's questions about guest code are answered."""

    @property
    def scope(self) -> int:
        """Which address space it is: the same address in another one is another place."""

    def code_page(self, number: int) -> tuple[bytes, bytes, bool, bytes] | None:
        """Of an executable page: bytes, 1,024 counters (u32), is it writable, 1,024 of ENTERS_REGION, BEGINS_BLOCK."""

    def heat(self, pc: int) -> int:
        """How often a taken branch went to `pc`."""


class CompileRequest(NamedTuple):
    """A hot address that is to be translated."""

    client: CompileClient
    seed: int
    flags: tuple[bool, ...]
    extent: Extent
    code: GuestCode
    name: str
    """Of what is translated there; it may have been translated for somebody else already. "": of nothing."""
    rejected: Translation | None
    """What has this name, and is of other code, or has less in it than is wanted now."""
    generation: int = 0
    """See `Translation`."""
    is_first_try: bool = True


class CompileClient:
    """The requests of one vCPU, on whose thread everything but the methods of the compile thread is called."""

    def __init__(self, service: CompileService, code: GuestCode, on_ready: Callable[[], None]) -> None:
        """`on_ready` is called in the compile thread."""
        self.service: Final = service
        self._code = code
        self._on_ready = on_ready
        self._ready: queue.SimpleQueue[tuple[int, Translation | None]] = queue.SimpleQueue()
        self._covered: set[tuple[int, int]] = set()
        self._looking: Final = Lock()
        """Held while the compile thread looks at the guest's memory."""
        self.is_closed = False
        self.failures: list[str] = []
        """What went wrong in the worker, for `--stats`."""
        self.compiled = 0
        """Translations made for this vCPU, rather than for another one that wanted the same."""

    def request(
        self,
        seed: int,
        flags: tuple[bool, ...],
        extent: Extent,
        code: GuestCode | None = None,
        name: str = "",
        rejected: Translation | None = None,
        generation: int = 0,
    ) -> None:
        """Have the region at `seed` translated; `take` gives the result some time later.

        `code`: where it is, if not in the code that the client was made for. A PROFILED one is left out if the
        address lies within a region by then. `name` and `rejected`: see CompileRequest.
        """
        self.service.put(
            CompileRequest(self, seed, flags, extent, code or self._code, name, rejected, generation)
        )

    def translate(
        self,
        seed: int,
        flags: tuple[bool, ...],
        extent: Extent,
        code: GuestCode | None = None,
        name: str = "",
        rejected: Translation | None = None,
    ) -> Translation | None:
        """Request and wait."""
        self.request(seed, flags, extent, code, name, rejected)
        _, translation = self._ready.get()
        return translation

    def take(self) -> list[tuple[int, Translation | None]]:
        """(seed, translation) of all requests finished since the last call.

        None: there was nothing to translate, it was part of a region already, or the worker died of it.
        """
        results = []
        while True:
            try:
                results.append(self._ready.get_nowait())
            except queue.Empty:
                return results

    def next(self, timeout: float) -> tuple[int, Translation | None] | None:
        """Wait for what `take` would have; None if nothing comes within `timeout` seconds."""
        try:
            return self._ready.get(timeout=timeout)
        except queue.Empty:
            return None

    def forget_covered(self) -> None:
        """Regions have been dropped."""
        self._covered = set()

    def close(self) -> None:
        """The vCPU and its memory go: what has been asked for is not wanted any more."""
        with self._looking:
            self.is_closed = True

    # In the compile thread.

    def heat(self, request: CompileRequest) -> int:
        with self._looking:
            return 0 if self.is_closed else request.code.heat(request.seed)

    def code_page(self, request: CompileRequest, number: int) -> tuple[bytes, bytes, bool, bytes] | None:
        with self._looking:
            return None if self.is_closed else request.code.code_page(number)

    def is_covered(self, request: CompileRequest) -> bool:
        """Whether the address has become part of a region."""
        return request.extent is Extent.PROFILED and (request.code.scope, request.seed) in self._covered

    def deliver(self, request: CompileRequest, translation: Translation | None) -> None:
        """The answer to a request."""
        with self._looking:
            if self.is_closed:
                return
            if translation is not None:
                self._covered.update((request.code.scope, block) for block in translation.blocks)
            self._ready.put((request.seed, translation))
            self._on_ready()
