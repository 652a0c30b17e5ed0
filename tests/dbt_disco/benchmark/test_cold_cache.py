"""`bench --cold`: timed runs find the engines' own code in the cache, and nothing of any program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbt_disco.benchmark import session
from dbt_disco.benchmark.cold_cache import ColdCache
from dbt_disco.benchmark.engines import all_engines
from dbt_disco.benchmark.measurement import Run, measure
from dbt_disco.benchmark.program_table import load_programs
from dbt_disco.benchmark.session import Session
from dbt_disco.command_line import main


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_timed_runs_get_copies_of_engine_code_alone(tmp_path: Path) -> None:
    cold = ColdCache(tmp_path)
    with cold.directory(timed=False) as prepared:
        generation = prepared / "dbt-disco" / "0123456789abcdef0123"
        (generation / "regions").mkdir(parents=True)
        for name in ("interpreter-little.o", "words-wide-12345678", "regions/0123"):
            (generation / name).write_text(name)
    for _ in range(2):
        with cold.directory(timed=True) as cache:
            (copy,) = files(cache)
            assert Path(cache, copy).name == "interpreter-little.o"
            assert Path(cache, copy).read_text() == "interpreter-little.o"
            Path(cache, copy).write_text("changed")
            Path(cache, "dbt-disco", "new").write_text("")


def test_no_timed_run_compiles_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every timed run: what it finds in the cache, and what it leaves there."""
    found: list[tuple[set[str], set[str]]] = []

    def observed(engine: object, program: object, scale: str, timeout: float, cache: Path) -> Run:
        before = files(cache)
        run = measure(engine, program, scale, timeout, cache)  # type: ignore[arg-type]
        found.append((before, files(cache)))
        return run

    monkeypatch.setattr(session, "measure", observed)
    engines = all_engines(tmp_path)
    cold = Session(
        [load_programs()[name] for name in ("queens", "nbody")],
        [engines["translator"], engines["interpreter"]],
        "short",
        repeats=1,
        budget=60,
        timeout=120,
        cold=ColdCache(tmp_path / "engine-code"),
    )
    cold.run(before=lambda step: None, after=lambda step: None)
    assert not any(cold.results.failure(p, e) for p in cold.results.programs for e in cold.results.engines)
    steps = cold.steps()
    assert [step.engine.key for step in steps if not step.timed] == ["translator", "interpreter"]
    for step, (before, after) in zip(steps, found, strict=True):
        if step.timed:
            assert before
            assert all(name.endswith(".o") for name in before)
            assert {name for name in after if name.endswith(".o")} == before
            assert after - before, "an engine with an empty cache decodes, and keeps what it has decoded"


@pytest.mark.parametrize("option", ["--cold", None])
def test_the_table_says_what_is_in_the_cache(
    option: str | None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    written = tmp_path / "bench.json"
    choice = ("--engines", "interpreter", "--programs", "queens", "--scale", "tiny", "--repeats", "1")
    assert main(["bench", *choice, "--json", str(written), *filter(None, [option])]) == 0
    assert f"cache of our engines: {'cold' if option else 'warm'}" in capsys.readouterr().out
    assert json.loads(written.read_text())["cold"] is bool(option)
