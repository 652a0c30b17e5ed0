"""`dbt-disco bench` from its options to its table, JSON and picture."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_disco.benchmark.measurement import Run
from dbt_disco.command_line import main
from dbt_disco.commands import bench


def run_bench(*arguments: str) -> int:
    return main(["bench", *arguments])


def test_all_engines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], program: Callable[[str], str]
) -> None:
    for tool in ("cc", "qemu-mipsel"):
        program(tool)
    written, drawn = tmp_path / "bench.json", tmp_path / "bench.svg"
    status = run_bench(
        *("--programs", "chase,nbody", "--scale", "tiny", "--repeats", "2"),
        *("--json", str(written), "--plot", str(drawn)),
    )
    assert status == 0
    output = capsys.readouterr().out
    assert "chase" in output
    assert "all programs" in output
    document = json.loads(written.read_text())
    assert [entry["name"] for entry in document["programs"]] == ["chase", "nbody"]
    for entry in document["programs"]:
        for engine in ("native", "translator", "interpreter", "reference", "qemu", "unicorn"):
            assert len(entry["engines"][engine]["runs"]) == 2
            assert entry["engines"][engine]["failure"] == ""
    assert drawn.read_text().startswith("<?xml")


def test_missing_tools_are_columns_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    written = tmp_path / "bench.json"
    arguments = ("--engines", "native,qemu", "--programs", "sieve", "--scale", "tiny", "--json", str(written))
    assert run_bench(*arguments) == 0
    assert "absent: qemu-mipsel: qemu-mipsel is not installed" in capsys.readouterr().out
    absent = json.loads(written.read_text())["absent"]
    assert absent == {"native": "cc is not installed", "qemu": "qemu-mipsel is not installed"}


def test_interrupted_session_shows_what_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "bench.json"
    runs = iter([Run(1.0, 1.0, 1, ""), Run(3.0, 3.0, 1, "")])

    def measure(*_: object) -> Run:
        for run in runs:
            return run
        raise KeyboardInterrupt

    monkeypatch.setattr("dbt_disco.benchmark.session.measure", measure)
    parser = bench.add_parser(argparse.ArgumentParser().add_subparsers())
    arguments = ["--engines", "unicorn", "--programs", "sieve", "--scale", "tiny", "--json", str(written)]
    with pytest.raises(KeyboardInterrupt):
        bench.execute(parser.parse_args(arguments))
    assert "interrupted" in capsys.readouterr().out
    assert json.loads(written.read_text())["programs"][0]["engines"]["unicorn"]["seconds"] == 2.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--programs", "no-such"), "no program is called 'no-such'"),
        (("--engines", "bochs"), "no engine is called 'bochs'"),
        (("--plot", "picture.jpg"), "must end in .svg or .png"),
        (("--json", "/no/such/directory/file"), "there is no directory /no/such/directory"),
    ],
)
def test_bad_options(arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_bench("--scale", "tiny", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--programs", ","), "names none"),
        (("--repeats", "0"), "'0' is no number from 1"),
        (("--timeout", "nan"), "'nan' is no number of seconds"),
        (("--budget", "-1"), "'-1' is no number of seconds"),
    ],
)
def test_bad_words_of_options(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run_bench(*arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
