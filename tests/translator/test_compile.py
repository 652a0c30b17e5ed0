"""LLVM as it is used: what makes it end the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COALESCER_BUG = Path(__file__).parent / "coalescer_bug.ll"
COMPILE = """
import sys
from translator.compile import compile_ir, no_coalescing
text = open(sys.argv[1]).read()
with no_coalescing():
    assert compile_ir(text, verify=True).object_code
assert compile_ir("define i32 @one() { ret i32 1 }").object_code
"""


def test_the_register_coalescers_bug_is_avoided() -> None:
    """In a process of its own: LLVM 22 ends it on this function, made smaller from a random kernel's region."""
    done = subprocess.run([sys.executable, "-c", COMPILE, COALESCER_BUG], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
