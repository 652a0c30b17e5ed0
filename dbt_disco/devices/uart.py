"""The 16550A UART (National Semiconductor's PC16550D data sheet); where that leaves room, as QEMU's hw/char/serial.c.

Sending takes no time: the transmitter is always empty, and asks for more as soon as it has been given a character.
The modem at the other end is always ready.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from dbt_disco.devices.character_backend import CharacterBackend
from dbt_disco.devices.device import Device, DirectRegisters, InterruptLine, Surroundings, Timer

CLOCK_FREQUENCY: Final = 3_686_400
"""Hz, as on the Malta board; 16 cycles are one bit at divisor 1."""
REGISTER_SHIFT: Final = 3
"""Register n is at offset n << 3, on the Malta board."""
FIFO_SIZE: Final = 16
_DATA_OFFSET: Final = 0
_LINE_STATUS_OFFSET: Final = 5 << REGISTER_SHIFT
_COLLECTING_TIME: Final = 10_000_000
"""Nanoseconds after which characters that native code has collected are sent, line feed or not."""

# Line control
_DIVISOR_LATCH_ACCESS: Final = 0x80
_PARITY_ENABLE: Final = 0x08
_TWO_STOP_BITS: Final = 0x04
_WORD_LENGTH: Final = 0x03

# Interrupt enable
_RECEIVED_DATA_ENABLE: Final = 0x01
_TRANSMITTER_EMPTY_ENABLE: Final = 0x02
_LINE_STATUS_ENABLE: Final = 0x04
_INTERRUPT_ENABLE_BITS: Final = 0x0F

# Interrupt identification, highest priority first
_LINE_STATUS: Final = 0x06
_CHARACTER_TIMEOUT: Final = 0x0C
_RECEIVED_DATA: Final = 0x04
_TRANSMITTER_EMPTY: Final = 0x02
_NONE_PENDING: Final = 0x01
_FIFOS_ENABLED: Final = 0xC0

# FIFO control
_FIFO_ENABLE: Final = 0x01
_RESET_RECEIVE_FIFO: Final = 0x02
_RESET_TRANSMIT_FIFO: Final = 0x04
_FIFO_CONTROL_KEPT: Final = 0xC9
_TRIGGER_LEVELS: Final = (1, 4, 8, 14)
"""How many characters in the FIFO interrupt, by bits 7 and 6 of FIFO control."""

# Modem control
_DATA_TERMINAL_READY: Final = 0x01
_REQUEST_TO_SEND: Final = 0x02
_OUTPUT_1: Final = 0x04
_OUTPUT_2: Final = 0x08
_LOOPBACK: Final = 0x10
_MODEM_CONTROL_BITS: Final = 0x1F

# Line status
_DATA_READY: Final = 0x01
_OVERRUN: Final = 0x02
_BREAK: Final = 0x10
_TRANSMITTER_IDLE: Final = 0x60
"""Holding register empty, transmitter empty."""

# Modem status
_CLEAR_TO_SEND: Final = 0x10
_DATA_SET_READY: Final = 0x20
_RING_INDICATOR: Final = 0x40
_CARRIER_DETECT: Final = 0x80
_MODEM_READY: Final = _CLEAR_TO_SEND | _DATA_SET_READY | _CARRIER_DETECT

_LOOPED_BACK: Final = (
    (_REQUEST_TO_SEND, _CLEAR_TO_SEND),
    (_DATA_TERMINAL_READY, _DATA_SET_READY),
    (_OUTPUT_1, _RING_INDICATOR),
    (_OUTPUT_2, _CARRIER_DETECT),
)
"""Modem control output → the modem status input it feeds in loopback."""

_RESET_DIVISOR: Final = 12
_DIVISOR_FOR_ZERO: Final = 66
"""About 3500 bits per second, as in QEMU; the data sheet does not allow a divisor of 0."""
_RESET_STATE: Final[dict[str, Any]] = {
    "divisor": _RESET_DIVISOR,
    "interrupt_enable": 0,
    "fifo_control": 0,
    "line_control": 0,
    "modem_control": _OUTPUT_2,
    "line_status": _TRANSMITTER_IDLE,
    "scratch": 0,
    "receive_buffer": 0,
    "receive_fifo": b"",
    "transmitter_empty_pending": False,
    "timeout_pending": False,
    "timeout_time": None,
}


class Uart(Device):
    """The UART's eight registers, each in eight bytes: an access of any size anywhere in them is to the register.

    The value is in the low eight bits of what is loaded or stored, whatever the byte order.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        interrupt: InterruptLine,
        backend: CharacterBackend,
        direct: DirectRegisters | None = None,
    ) -> None:
        """With `direct`, a guest that polls the line status and sends does not come here for each character."""
        self._surroundings = surroundings
        self._interrupt = interrupt
        self._backend = backend
        self._direct = direct
        self._direct_line_status: int | None = None
        self._collects = False
        self._has_collected = False
        self._collecting_timer: Timer | None = None
        self._timeout_timer: Timer | None = None
        self._readers: tuple[Callable[[], int], ...] = (
            self._read_data,
            self._read_interrupt_enable,
            self._read_interrupt_identification,
            lambda: self._line_control,
            lambda: self._modem_control,
            self._read_line_status,
            self._read_modem_status,
            lambda: self._scratch,
        )
        self._writers: tuple[Callable[[int], None], ...] = (
            self._write_data,
            self._write_interrupt_enable,
            self._write_fifo_control,
            self._write_line_control,
            self._write_modem_control,
            lambda value: None,
            lambda value: None,
            self._write_scratch,
        )
        backend.connect(self)
        self.restore(_RESET_STATE)

    def read(self, offset: int, size: int) -> int:
        return self._readers[offset >> REGISTER_SHIFT]()

    def write(self, offset: int, size: int, value: int) -> None:
        self._writers[offset >> REGISTER_SHIFT](value & 0xFF)

    def reset(self) -> None:
        self.restore(_RESET_STATE)

    def state(self) -> dict[str, Any]:
        return {
            "divisor": self._divisor,
            "interrupt_enable": self._interrupt_enable,
            "fifo_control": self._fifo_control,
            "line_control": self._line_control,
            "modem_control": self._modem_control,
            "line_status": self._line_status,
            "scratch": self._scratch,
            "receive_buffer": self._receive_buffer,
            "receive_fifo": bytes(self._receive_fifo),
            "transmitter_empty_pending": self._transmitter_empty_pending,
            "timeout_pending": self._timeout_pending,
            "timeout_time": self._timeout_time,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._divisor: int = state["divisor"]
        self._interrupt_enable: int = state["interrupt_enable"]
        self._fifo_control: int = state["fifo_control"]
        self._line_control: int = state["line_control"]
        self._modem_control: int = state["modem_control"]
        self._line_status: int = state["line_status"]
        self._scratch: int = state["scratch"]
        self._receive_buffer: int = state["receive_buffer"]
        self._receive_fifo = deque[int](state["receive_fifo"])
        self._transmitter_empty_pending: bool = state["transmitter_empty_pending"]
        self._timeout_pending: bool = state["timeout_pending"]
        self._set_timeout(state["timeout_time"])
        self._stop_collecting()
        self._update_interrupt()
        self._ask_for_input()

    # The backend's side

    def receive_capacity(self) -> int:
        """Never more than to the trigger level: the guest shall see the interrupts it asked for, not full FIFOs."""
        if self._modem_control & _LOOPBACK:
            return 0
        if self._fifo_control & _FIFO_ENABLE:
            return max(self._trigger_level() - len(self._receive_fifo), 0)
        return 0 if self._line_status & _DATA_READY else 1

    def receive(self, data: bytes) -> None:
        for character in data:
            self._receive_character(character)

    def receive_break(self) -> None:
        self._receive_character(0)
        self._line_status |= _BREAK
        self._update_interrupt()

    # Receiving

    def _receive_character(self, character: int) -> None:
        if self._fifo_control & _FIFO_ENABLE:
            if len(self._receive_fifo) < FIFO_SIZE:
                self._receive_fifo.append(character)
            else:
                self._line_status |= _OVERRUN  # what is in the FIFO stays, the character is lost
            self._restart_timeout()
        else:
            if self._line_status & _DATA_READY:
                self._line_status |= _OVERRUN
            self._receive_buffer = character
        self._line_status |= _DATA_READY
        self._update_interrupt()

    def _read_data(self) -> int:
        if self._line_control & _DIVISOR_LATCH_ACCESS:
            return self._divisor & 0xFF
        fifo = self._receive_fifo
        if self._fifo_control & _FIFO_ENABLE:
            character = fifo.popleft() if fifo else 0
            self._timeout_pending = False
        else:
            character = self._receive_buffer
        if fifo:
            self._restart_timeout()
        else:
            self._set_timeout(None)
            self._line_status &= ~(_DATA_READY | _BREAK)
        self._update_interrupt()
        self._ask_for_input()
        return character

    def _ask_for_input(self) -> None:
        if self.receive_capacity():
            self._backend.input_wanted()

    def _trigger_level(self) -> int:
        return _TRIGGER_LEVELS[self._fifo_control >> 6]

    # The character timeout: characters have been in the FIFO, and none came or was read, for four characters' time

    def _restart_timeout(self) -> None:
        self._set_timeout(self._surroundings.now() + 4 * self._character_time())

    def _set_timeout(self, time: int | None) -> None:
        if self._timeout_timer is not None:
            self._timeout_timer.cancel()
            self._timeout_timer = None
        self._timeout_time = time
        if time is not None:
            self._timeout_timer = self._surroundings.call_at(time, self._time_out)

    def _time_out(self) -> None:
        self._timeout_timer = None
        self._timeout_time = None
        self._timeout_pending = True
        self._update_interrupt()

    def _character_time(self) -> int:
        """Nanoseconds on the line: start bit, data, parity, stop bits."""
        control = self._line_control
        bits = 1 + 5 + (control & _WORD_LENGTH) + 1
        bits += bool(control & _PARITY_ENABLE) + bool(control & _TWO_STOP_BITS)
        return bits * 16 * (self._divisor or _DIVISOR_FOR_ZERO) * 1_000_000_000 // CLOCK_FREQUENCY

    # Sending

    def _write_data(self, value: int) -> None:
        if self._line_control & _DIVISOR_LATCH_ACCESS:
            self._divisor = self._divisor & 0xFF00 | value
            return
        self._transmitter_empty_pending = True
        if self._modem_control & _LOOPBACK:
            self._receive_character(value)
        else:
            self._backend.write(bytes((value,)))
            self._update_interrupt()
            self._start_collecting()

    # While nobody is told that the transmitter is empty, native code may collect what is sent

    def _start_collecting(self) -> None:
        if self._direct is None or self._collects or self._interrupt_enable & _TRANSMITTER_EMPTY_ENABLE:
            return
        self._collects = True
        self._direct.collect_stores(_DATA_OFFSET, self._take_collected)
        if self._collecting_timer is None:
            self._look_after_collecting_time()

    def _stop_collecting(self) -> None:
        if self._direct is not None and self._collects:
            self._collects = False
            self._direct.collect_no_more()

    def _take_collected(self, data: bytes) -> None:
        self._has_collected = True
        self._transmitter_empty_pending = True
        self._backend.write(data)

    def _look_after_collecting_time(self) -> None:
        due = self._surroundings.now() + _COLLECTING_TIME
        self._collecting_timer = self._surroundings.call_at(due, self._collecting_time_is_over)

    def _collecting_time_is_over(self) -> None:
        """That this was called has brought here what there was. If there was nothing, it is not worth a timer."""
        self._collecting_timer = None
        if not self._has_collected:
            self._stop_collecting()
        elif self._collects:
            self._has_collected = False
            self._look_after_collecting_time()

    # Interrupts

    def _read_interrupt_enable(self) -> int:
        if self._line_control & _DIVISOR_LATCH_ACCESS:
            return self._divisor >> 8
        return self._interrupt_enable

    def _write_interrupt_enable(self, value: int) -> None:
        if self._line_control & _DIVISOR_LATCH_ACCESS:
            self._divisor = self._divisor & 0xFF | value << 8
            return
        changed = self._interrupt_enable ^ value
        self._interrupt_enable = value & _INTERRUPT_ENABLE_BITS
        if changed & _TRANSMITTER_EMPTY_ENABLE:
            # Switched on, it interrupts even if an earlier read of the identification had acknowledged it.
            self._transmitter_empty_pending = bool(value & _TRANSMITTER_EMPTY_ENABLE)
            self._stop_collecting()
        self._update_interrupt()

    def _read_interrupt_identification(self) -> int:
        identification = self._interrupt_identification
        if identification & ~_FIFOS_ENABLED == _TRANSMITTER_EMPTY:
            self._transmitter_empty_pending = False
            self._update_interrupt()
        return identification

    def _update_interrupt(self) -> None:
        identification = self._highest_interrupt()
        self._interrupt.set(identification != _NONE_PENDING)
        if self._fifo_control & _FIFO_ENABLE:
            identification |= _FIFOS_ENABLED
        self._interrupt_identification = identification
        if self._direct is not None:
            self._tell_line_status(self._direct)

    def _tell_line_status(self, direct: DirectRegisters) -> None:
        """Reading the line status changes it only if there is an error to be acknowledged."""
        status = None if self._line_status & (_OVERRUN | _BREAK) else self._line_status
        if status != self._direct_line_status:
            self._direct_line_status = status
            direct.loads_give(_LINE_STATUS_OFFSET, status)

    def _highest_interrupt(self) -> int:
        enable = self._interrupt_enable
        if enable & _LINE_STATUS_ENABLE and self._line_status & (_OVERRUN | _BREAK):
            return _LINE_STATUS
        if enable & _RECEIVED_DATA_ENABLE:
            if self._timeout_pending:
                return _CHARACTER_TIMEOUT
            if self._line_status & _DATA_READY and (
                not self._fifo_control & _FIFO_ENABLE or len(self._receive_fifo) >= self._trigger_level()
            ):
                return _RECEIVED_DATA
        if enable & _TRANSMITTER_EMPTY_ENABLE and self._transmitter_empty_pending:
            return _TRANSMITTER_EMPTY
        return _NONE_PENDING

    # The other registers

    def _write_fifo_control(self, value: int) -> None:
        if (value ^ self._fifo_control) & _FIFO_ENABLE:
            value |= _RESET_RECEIVE_FIFO | _RESET_TRANSMIT_FIFO
        self._fifo_control = value & _FIFO_CONTROL_KEPT
        if value & _RESET_TRANSMIT_FIFO:
            self._transmitter_empty_pending = True
        if value & _RESET_RECEIVE_FIFO:
            self._receive_fifo.clear()
            self._line_status &= ~(_DATA_READY | _BREAK)
            self._set_timeout(None)
            self._timeout_pending = False
        self._update_interrupt()
        self._ask_for_input()

    def _write_line_control(self, value: int) -> None:
        self._stop_collecting()
        self._line_control = value

    def _write_modem_control(self, value: int) -> None:
        self._stop_collecting()
        self._modem_control = value & _MODEM_CONTROL_BITS
        self._ask_for_input()

    def _read_line_status(self) -> int:
        status = self._line_status
        if status & (_OVERRUN | _BREAK):
            self._line_status &= ~(_OVERRUN | _BREAK)
            self._update_interrupt()
        return status

    def _read_modem_status(self) -> int:
        if not self._modem_control & _LOOPBACK:
            return _MODEM_READY
        return sum(status for control, status in _LOOPED_BACK if self._modem_control & control)

    def _write_scratch(self, value: int) -> None:
        self._scratch = value
