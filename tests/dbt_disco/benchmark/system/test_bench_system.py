"""`dbt-disco bench --system` from its options to its table and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_disco.benchmark.system import launch
from dbt_disco.benchmark.system.scenarios import SYSTEM
from dbt_disco.command_line import main
from dbt_disco.debian.guest_files import GuestFiles


def test_without_qemu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["bench", "--system"]) == 1
    error = capsys.readouterr().err
    assert error == (
        "dbt-disco: bench: qemu-system-mipsel is not installed; it is in Debian's package qemu-system-mips\n"
    )


def test_without_the_guest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch.shutil, "which", lambda name: name)
    assert main(["bench", "--system", "--scenarios", "boot,session", "--dir", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    for scenario in ("boot", "session"):
        assert (
            f"absent: {scenario}: {tmp_path}/vmlinuz is not there; `dbt-disco fetch debian` makes it" in shown
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--system", "--scenarios", "flight"), "no scenario is called 'flight'; there are boot, session,"),
        (("--system", "--programs", "flight"), "no program is called 'flight'"),
        (("--system", "--cold"), "--cold says nothing with --system"),
        (("--system", "--plot", "x.svg"), "--plot says nothing with --system"),
        (("--quick",), "--quick says nothing without --system or --cluster"),
        (("--dir", "there"), "--dir says nothing without --system or --cluster"),
    ],
)
def test_bad_options(arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_everything_quickly(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    debian_guest: GuestFiles,
    program: Callable[[str], str],
) -> None:
    for tool in ("cc", "qemu-system-mipsel"):
        program(tool)
    written = tmp_path / "bench.json"
    arguments = ("--system", "--quick", "--dir", str(debian_guest.directory), "--json", str(written))
    status = main(["bench", *arguments])
    shown = capsys.readouterr().out
    assert status == 0, shown
    document = json.loads(written.read_text())
    assert list(document["scenarios"]) == list(SYSTEM.scenarios)
    for scenario in document["scenarios"].values():
        assert all(figure["value"] is not None for figure in scenario["figures"])
        assert any(figure["met"] is not None for figure in scenario["figures"])
