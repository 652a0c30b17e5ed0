#!/usr/bin/env python3
"""Write bench/expected.toml: the SHA-256 of each benchmark program's output, and its length in instructions.

The host's `cc` builds the programs for the host; qemu-mipsel and `dbt-disco run`, which counts instructions,
run the guests. What all three print alike is recorded; the first disagreement ends the script with status 1.
Needs a Python that has dbt-disco's dependencies. All of it takes a quarter of an hour.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
BENCH = REPOSITORY / "guests" / "bench"
EXPECTED = BENCH / "expected.toml"
PREBUILT = REPOSITORY / "guests" / "prebuilt" / "mipsel" / "bench"
HEADER = """\
# What each program prints at each scale (SHA-256 of standard output), and how many instructions the prebuilt
# little-endian guest executes; written by guests/record_expectations.py.
"""


def output_hash(command: list[str]) -> str:
    """The hash of what a command prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=REPOSITORY)
    return hashlib.sha256(done.stdout).hexdigest()


def expectation(name: str, argument: str, native: str, statistics: Path) -> tuple[str, int]:
    """Output hash and instruction count of one program at one scale. Raises ValueError if engines differ."""
    guest = str(PREBUILT / name)
    own = [sys.executable, "-m", "dbt_disco", "run", "--stats=json", "--stats-file", str(statistics)]
    hashes = {
        "native": output_hash([native, argument]),
        "qemu-mipsel": output_hash(["qemu-mipsel", guest, argument]),
        "dbt-disco": output_hash([*own, guest, argument]),
    }
    if len(set(hashes.values())) > 1:
        raise ValueError(f"{name} {argument}: outputs differ: {hashes}")
    return hashes["native"], json.loads(statistics.read_text())["instructions"]


def as_toml(table: dict[str, dict], recorded: dict[str, dict]) -> str:
    """The text of expected.toml, in the order of programs.toml."""
    lines = [HEADER]
    for name in filter(recorded.get, table):
        lines.append(f"\n[{name}]\n")
        for scale in filter(recorded[name].get, table[name]["scale"]):
            output, count = recorded[name][scale].values()
            lines.append(f'{scale} = {{ output = "{output}", instructions = {count} }}\n')
    return "".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write bench/expected.toml.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="programs to run (default: all)")
    parser.add_argument("--scale", help="run this scale only (default: all)")
    options = parser.parse_args()
    table = tomllib.loads((BENCH / "programs.toml").read_text())
    recorded = tomllib.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.names or table:
            native = f"{scratch}/{name}"
            compiler = ["cc", "-O2", "-fno-tree-vectorize", "-ffp-contract=off"]
            subprocess.run([*compiler, "-o", native, f"{BENCH}/{name}.c", "-lm"], check=True)
            for scale, argument in table[name]["scale"].items():
                if options.scale in (None, scale):
                    output, count = expectation(name, str(argument), native, Path(scratch, "statistics"))
                    recorded.setdefault(name, {})[scale] = {"output": output, "instructions": count}
                    print(f"{name} {scale}: {count / 1e6:.3f} million instructions", flush=True)
            EXPECTED.write_text(as_toml(table, recorded))
    return 0


if __name__ == "__main__":
    sys.exit(main())
