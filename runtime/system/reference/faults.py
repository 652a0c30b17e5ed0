"""Why an instruction of the reference engine does not complete."""

from __future__ import annotations

from runtime.reference_cpu import GuestException
from translator.state import ExceptionCode, Stop


class TranslationFault(GuestException):
    """The TLB does not let the access through; `is_refill` if it holds nothing about the address at all."""

    def __init__(self, code: ExceptionCode, address: int, *, is_refill: bool = False) -> None:
        super().__init__(code, bad_address=address)
        self.is_refill = is_refill


class Stopped(Exception):
    """Somebody else has to act before the instruction can be executed."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop
