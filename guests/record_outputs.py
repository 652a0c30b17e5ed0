#!/usr/bin/env python3
"""Write bench/outputs.toml: the SHA-256 of each benchmark program's output at each scale.

The host's `cc` builds the programs for the host; qemu-mipsel runs the guests. What both print alike is
recorded; the first disagreement ends the run with exit status 1. All of it takes ten minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

BENCH = Path(__file__).resolve().parent / "bench"
OUTPUTS = BENCH / "outputs.toml"
GUESTS = BENCH.parent / "prebuilt" / "mipsel" / "bench"
HEADER = "# SHA-256 of the standard output of each program at each scale; written by guests/record_outputs.py.\n"


def timed_hash(command: list[str]) -> tuple[str, float]:
    """The hash of what a command prints, and the seconds it took."""
    start = time.perf_counter()
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return hashlib.sha256(output).hexdigest(), time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description="Write outputs.toml.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="programs to run (default: all)")
    parser.add_argument("--scale", help="run this scale only (default: all)")
    options = parser.parse_args()
    table = tomllib.loads((BENCH / "programs.toml").read_text())
    recorded = tomllib.loads(OUTPUTS.read_text()) if OUTPUTS.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.names or table:
            native = f"{scratch}/{name}"
            compiler = ["cc", "-O2", "-fno-tree-vectorize", "-ffp-contract=off"]
            subprocess.run([*compiler, "-o", native, f"{BENCH}/{name}.c", "-lm"], check=True)
            for scale, argument in table[name]["scale"].items():
                if options.scale not in (None, scale):
                    continue
                expected, native_seconds = timed_hash([native, str(argument)])
                found, guest_seconds = timed_hash(["qemu-mipsel", str(GUESTS / name), str(argument)])
                print(f"{name} {scale}: native {native_seconds:.2f} s, qemu {guest_seconds:.2f} s", flush=True)
                if found != expected:
                    print(f"{name} {argument}: qemu and the host disagree", file=sys.stderr)
                    return 1
                recorded.setdefault(name, {})[scale] = expected
    lines = [HEADER]
    for name in table:
        lines.append(f"\n[{name}]\n")
        lines += [f'{scale} = "{recorded[name][scale]}"\n' for scale in table[name]["scale"]]
    OUTPUTS.write_text("".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
