"""What the README says can be typed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
BLOCKS = re.findall(r"\n((?:    .*\n|\n)+)", (REPOSITORY / "README.md").read_text())
"""Everything indented, with blank lines in between."""
COMMANDS = [
    line.strip() for block in BLOCKS for line in block.splitlines() if line.startswith("    dbt-disco ")
]


def test_set_up_takes_two_commands() -> None:
    lines = [line.strip() for block in BLOCKS for line in block.splitlines()]
    set_up = [line for line in lines if line.startswith("python3 -m venv")]
    assert len(set_up) == 2
    assert set_up[0].endswith("/dbt-disco demo")
    assert "pytest" in set_up[1]


def test_the_guest_shown_after_the_demo_runs() -> None:
    (line,) = (
        line.strip()
        for block in BLOCKS
        for line in block.splitlines()
        if "dbt_disco/embedded/" in line and "bin/" in line
    )
    words = line.split()
    assert words[:2] == [".venv/bin/dbt-disco", "run"]
    done = subprocess.run(
        [sys.executable, "-m", "dbt_disco", *words[1:]], cwd=REPOSITORY, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("line", COMMANDS)
def test_every_option_shown_exists(line: str) -> None:
    name, *words = re.split(r"\s{2,}", line)[0].split()[1:]
    done = subprocess.run(
        [sys.executable, "-m", "dbt_disco", name, "--help"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for option in (word.strip("[]") for word in words if word.strip("[").startswith("-")):
        assert re.search(rf"(^|\s){re.escape(option)}\b", done.stdout), f"{name} has no {option}"


def test_the_python_example_runs() -> None:
    (example,) = (block for block in BLOCKS if "import dbt_disco\n" in block)
    code = "".join(line[4:] for line in example.splitlines(keepends=True))
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[0].startswith("StopReason.COUNT ")
    assert done.stdout.splitlines()[-1] == "0"
