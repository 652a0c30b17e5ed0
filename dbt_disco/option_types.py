"""What options' words may be, with the names that argparse calls them by in its messages."""

from __future__ import annotations

import argparse
import math
import os


def address(text: str) -> int:
    """A guest address, in decimal, or in hexadecimal behind 0x."""
    try:
        value = int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no address; 0x400000 would be one") from None
    if not 0 <= value < 1 << 32:
        raise argparse.ArgumentTypeError(f"{text} is no address of 32 bits")
    return value


def directory(text: str) -> str:
    """One that exists."""
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no directory")
    return text


def positive(text: str) -> int:
    """A number from 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return value


def seconds(text: str) -> float:
    """A time span."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value
