#!/usr/bin/env python3
"""Write outputs.toml: the SHA-256 of each benchmark program's output at each scale.

The host's `cc` builds the programs for the host; qemu-mipsel runs the guests. What both print alike is
recorded; the first disagreement ends the run with exit status 1. Takes ten minutes.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

BENCH = Path(__file__).resolve().parent
GUESTS = BENCH.parent / "prebuilt" / "mipsel" / "bench"
HEADER = "# SHA-256 of the standard output of each program at each scale; written by record_outputs.py.\n"


def timed_hash(command: list[str]) -> tuple[str, float]:
    """The hash of what a command prints, and the seconds it took."""
    start = time.perf_counter()
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return hashlib.sha256(output).hexdigest(), time.perf_counter() - start


def main() -> int:
    lines = [HEADER]
    table = tomllib.loads((BENCH / "programs.toml").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        for name, program in table.items():
            native = f"{scratch}/{name}"
            subprocess.run(
                ["cc", "-O2", "-ffp-contract=off", "-o", native, f"{BENCH}/{name}.c", "-lm"], check=True
            )
            lines.append(f"\n[{name}]\n")
            for scale, argument in program["scale"].items():
                expected, native_seconds = timed_hash([native, str(argument)])
                found, guest_seconds = timed_hash(["qemu-mipsel", str(GUESTS / name), str(argument)])
                print(f"{name} {scale}: native {native_seconds:.2f} s, qemu {guest_seconds:.2f} s", flush=True)
                if found != expected:
                    print(f"{name} {argument}: qemu and the host disagree", file=sys.stderr)
                    return 1
                lines.append(f'{scale} = "{expected}"\n')
    (BENCH / "outputs.toml").write_text("".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
