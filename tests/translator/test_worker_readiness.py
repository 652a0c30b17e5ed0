"""The compile worker gets ready before anybody asks."""

from __future__ import annotations

from translator.translation import Translation
from translator.worker import get_ready


def test_getting_ready_translates_something() -> None:
    """All the way to object code, or the first request would pay for what is left."""
    data = get_ready()
    assert data is not None
    assert Translation.from_bytes(data).instructions == 4
