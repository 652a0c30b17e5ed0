"""Imports go one way: dbt_disco → runtime → translator; and what starts fast imports little."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ALLOWED = {
    "translator": {"translator"},
    "runtime": {"translator", "runtime"},
    "dbt_disco": {"translator", "runtime", "dbt_disco"},
}
"""For each package, the packages of ours that it may import."""


def imported_packages(source: Path) -> Iterator[tuple[int, str]]:
    """Line and top-level package of each import in a file, wherever in the file it stands."""
    package = source.relative_to(REPOSITORY).parts[0]
    for node in ast.walk(ast.parse(source.read_text(), str(source))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, package if node.level else str(node.module).partition(".")[0]


@pytest.mark.parametrize("package", ALLOWED)
def test_import_direction(package: str) -> None:
    sources = sorted((REPOSITORY / package).rglob("*.py"))
    assert sources
    forbidden = (set(ALLOWED) | {"tests", "guests"}) - ALLOWED[package]
    wrong = [
        f"{source.relative_to(REPOSITORY)}:{line} imports {name}"
        for source in sources
        for line, name in imported_packages(source)
        if name in forbidden
    ]
    assert not wrong


def test_a_wrong_import_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: inside functions too."""
    monkeypatch.setitem(globals(), "REPOSITORY", tmp_path)
    for package in ALLOWED:
        (tmp_path / package).mkdir()
        (tmp_path / package / "module.py").write_text(
            "def late():\n    from dbt_disco.linux import process\n"
        )
    test_import_direction("dbt_disco")
    for package in ("translator", "runtime"):
        with pytest.raises(AssertionError):
            test_import_direction(package)
