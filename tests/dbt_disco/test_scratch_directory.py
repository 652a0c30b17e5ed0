"""Temporary directories under signals."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path

import pytest

from dbt_disco.scratch_directory import ScratchDirectory


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_there_and_then_gone(temporary: Path) -> None:
    with ScratchDirectory("try-") as directory:
        Path(directory, "file").write_text("x")
        assert [path.name[:4] for path in temporary.iterdir()] == ["try-"]
    assert not list(temporary.iterdir())


def test_a_signal_while_it_is_made_leaves_nothing(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = tempfile.mkdtemp

    def make_and_be_interrupted(*arguments: str | None) -> str:
        made = make(*arguments)
        signal.raise_signal(signal.SIGINT)
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_be_interrupted)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(KeyboardInterrupt), ScratchDirectory("try-"):
        pytest.fail("it has gone on")
    assert not list(temporary.iterdir())
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
