"""The device registers that native code answers itself: what devices tell it of them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from translator.predecode import handler_symbol

if TYPE_CHECKING:
    from runtime.native_code import NativeCode
    from translator.state import CpuState

_NOWHERE: Final = 0xFFFF_FFFF
"""No register is there: their addresses are multiples of eight."""
_MNEMONICS: Final = ("lb", "lbu", "sb")
_LARGEST_VALUE: Final = 0x7F
"""What lb and lbu load alike."""


class DirectRegisters:
    """One register to be loaded and one to be stored to, of one device; offsets are multiples of eight."""

    def __init__(self, state: CpuState, native: NativeCode) -> None:
        self.start = 0
        """Physical address of the device."""
        self._state: Final = state
        self._collected_at: Final = ctypes.addressof(state.collected)
        self._receive: Callable[[bytes], None] | None = None
        state.direct_load_at = state.direct_store_at = _NOWHERE
        for mnemonic in _MNEMONICS:
            setattr(state, f"{mnemonic}_handler", native.handlers[handler_symbol(mnemonic)])

    def loads_give(self, offset: int, value: int | None) -> None:
        """Loads of a byte at `offset` give a value and change nothing; None: the device wants to see them."""
        if value is None or value > _LARGEST_VALUE:
            self._state.direct_load_at = _NOWHERE
        else:
            self._state.direct_load_at = self.start + offset
            self._state.direct_load_value = value

    def collect_stores(self, offset: int, receive: Callable[[bytes], None]) -> None:
        """Bytes stored at `offset` change nothing but what `receive` gets: before the next access to a device,
        and whenever native code is left. Line feeds are not collected.
        """
        self._receive = receive
        self._state.direct_store_at = self.start + offset

    def collect_no_more(self) -> None:
        """The device wants to see every store."""
        self._state.direct_store_at = _NOWHERE

    def deliver(self) -> None:
        """What has been collected goes to the device."""
        state = self._state
        data = ctypes.string_at(self._collected_at, state.collected_count)
        state.collected_count = 0
        assert self._receive is not None
        self._receive(data)
