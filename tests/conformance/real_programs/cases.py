"""The table of cases: a program of the sysroot, its arguments and input, and what it must print.

`output` is the literal standard output where it can be known without running the program; None means: status,
standard output and standard error as under qemu-mipsel. Programs run in a copy of `inputs/`, single-threaded,
and start no other program.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import lzma
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Case:
    """One run of one program."""

    name: str
    arguments: tuple[str, ...]
    """The program's path in the sysroot, and its arguments."""
    stdin: bytes = b""
    output: str | None = None
    status: int = 0
    """The exit status, or the negative number of the signal that ends the program."""
    not_under_qemu: str = ""
    """Why qemu-mipsel 7.2 cannot run a case whose output is a literal."""


BASH = ("bin/bash", "--norc")
BC = ("usr/bin/bc", "-q")
BUSYBOX = ("bin/busybox",)
DASH = ("bin/dash",)
GAWK = ("usr/bin/gawk",)
JQ = ("usr/bin/jq",)
LUA = ("usr/bin/lua5.4",)
OPENSSL = ("usr/bin/openssl",)
PERL = ("usr/bin/perl",)
PYTHON = ("usr/bin/python3.11",)
SQLITE = ("usr/bin/sqlite3",)

LINES = "".join(f"line {n} of many\n" for n in range(3000)).encode()
NUMBERS = [n * 7919 % 10007 for n in range(4000)]
NUMBER_LINES = "".join(f"{n}\n" for n in NUMBERS).encode()
BYTES = bytes(n * n // 7 % 251 for n in range(50000))
PRIMES = [n for n in range(2, 200) if all(n % divisor for divisor in range(2, n))]
SQUARES = [[n * n for n in range(1, 2001) if n % 7 == k] for k in range(7)]

STATX = "its statx ignores -L, so perl finds no modules"

BUSYBOX_CASES = (
    Case("busybox_echo", (*BUSYBOX, "echo", "-e", r"a\tb\x41"), output="a\tbA\n"),
    Case(
        "busybox_sort",
        (*BUSYBOX, "sort", "-n"),
        NUMBER_LINES,
        "".join(f"{n}\n" for n in sorted(NUMBERS)),
    ),
    Case("busybox_md5sum", (*BUSYBOX, "md5sum"), BYTES, f"{hashlib.md5(BYTES).hexdigest()}  -\n"),
    Case("busybox_sha256sum", (*BUSYBOX, "sha256sum"), BYTES, f"{hashlib.sha256(BYTES).hexdigest()}  -\n"),
    Case("busybox_wc", (*BUSYBOX, "wc", "voyage.txt", "weather.csv")),
    Case("busybox_grep", (*BUSYBOX, "grep", "-n", "-E", "(sea|tree)", "voyage.txt")),
    Case("busybox_sed", (*BUSYBOX, "sed", "-E", r"s/(.),(.)/\2,\1/g;5d", "weather.csv")),
    Case("busybox_awk", (*BUSYBOX, "awk", "-F,", "NR > 1 { s += $3 } END { print s }", "weather.csv")),
    Case("busybox_find", (*BUSYBOX, "find", "tree", "-name", "c.*"), output="tree/deeper/c.txt\n"),
    Case("busybox_dc", (*BUSYBOX, "dc", "-e", "2 100 ^ p"), output=f"{2**100}\n"),
    Case("busybox_cal", (*BUSYBOX, "cal", "2", "2024")),
    Case("busybox_hexdump", (*BUSYBOX, "hexdump", "-C"), BYTES[:700]),
    Case("busybox_sh", (*BUSYBOX, "sh", "scripts/functions.sh"), output="one\nbye\n", status=7),
    Case("busybox_gunzip_bad", (*BUSYBOX, "gunzip", "-c"), b"not compressed at all", status=1),
)

COREUTILS_CASES = (
    Case("cat", ("bin/cat", "-n", "voyage.txt")),
    Case("sort_by_key", ("usr/bin/sort", "--parallel=1", "-t,", "-k4,4g", "weather.csv")),
    Case("tr", ("usr/bin/tr", "a-z", "A-Z"), b"quiet please\n", "QUIET PLEASE\n"),
    Case("cut", ("usr/bin/cut", "-d,", "-f1,3", "weather.csv")),
    Case("uniq", ("usr/bin/uniq", "-c"), b"x\nx\ny\nx\n", "      2 x\n      1 y\n      1 x\n"),
    Case("paste", ("usr/bin/paste", "-d:", "weather.csv", "voyage.txt")),
    Case("seq", ("usr/bin/seq", "-f", "%.2f", "1", "0.5", "2"), output="1.00\n1.50\n2.00\n"),
    Case("factor", ("usr/bin/factor", "600851475143"), output="600851475143: 71 839 1471 6857\n"),
    Case("printf", ("usr/bin/printf", r"%08.3f|%x|%-6s|%e\n", "3.14159", "255", "ab", "12345.678")),
    Case("base64", ("usr/bin/base64", "-w0"), BYTES, base64.b64encode(BYTES).decode()),
    Case("sha512sum", ("usr/bin/sha512sum",), BYTES, f"{hashlib.sha512(BYTES).hexdigest()}  -\n"),
    Case("b2sum", ("usr/bin/b2sum",), BYTES, f"{hashlib.blake2b(BYTES).hexdigest()}  -\n"),
    Case("cksum", ("usr/bin/cksum",), b"123456789", "930766865 9\n"),
    Case("od", ("usr/bin/od", "-A", "d", "-t", "fF"), bytes(range(64)) * 2),
    Case("ls", ("bin/ls", "-1RF", "tree"), output="tree:\na.txt\nb.txt\ndeeper/\n\ntree/deeper:\nc.txt\n"),
    Case("stat", ("usr/bin/stat", "-c", "%s %F %n", "tree/b.txt"), output="10 regular file tree/b.txt\n"),
    Case("dd", ("bin/dd", "bs=1000", "skip=2", "count=3", "status=none"), LINES, LINES[2000:5000].decode()),
    Case("date", ("bin/date", "-u", "-d", "@1000000000", "+%F %T"), output="2001-09-09 01:46:40\n"),
    Case("numfmt", ("usr/bin/numfmt", "--to=iec", "123456789"), output="118M\n"),
    Case("tsort", ("usr/bin/tsort",), b"a b\nb c\na d\nd c\n"),
    Case("expr", ("usr/bin/expr", "7", "*", "(", "2", "+", "3", ")"), output="35\n"),
    Case("no_such_file", ("bin/cat", "no such file"), output="", status=1),
    Case("cp_recursive", ("bin/cp", "-rv", "tree", "copy")),
    Case("false", ("bin/false",), output="", status=1),
)

PYTHON_CASES = (
    Case("python_json", (*PYTHON, "scripts/json_catalogue.py")),
    Case("python_re", (*PYTHON, "scripts/regular_expressions.py")),
    Case("python_hashlib", (*PYTHON, "scripts/digests.py"), BYTES),
    Case("python_decimal", (*PYTHON, "scripts/decimals.py")),
    Case("python_sqlite3", (*PYTHON, "scripts/database.py")),
    Case("python_math", (*PYTHON, "scripts/functions.py")),
    Case("python_integers", (*PYTHON, "-c", "print(7**300 // 5**200)"), output=f"{7**300 // 5**200}\n"),
    Case("python_recursion", (*PYTHON, "scripts/recursion.py"), output="RecursionError\n"),
    Case("python_traceback", (*PYTHON, "-c", "import json; json.loads('[1, }')"), status=1),
    Case("python_zlib", (*PYTHON, "scripts/archives.py"), LINES),
    Case("python_random", (*PYTHON, "scripts/sorting.py")),
    Case("python_ast", (*PYTHON, "-c", "import ast; print(ast.dump(ast.parse('a = [b * 2 for b in c]')))")),
    Case("python_signal", (*PYTHON, "scripts/signals.py"), output="caught 16\nwent on\n"),
)

PERL_CASES = (
    Case("perl_words", (*PERL, "scripts/words.pl", "voyage.txt")),
    Case("perl_numbers", (*PERL, "scripts/numbers.pl"), NUMBER_LINES),
    Case("perl_closures", (*PERL, "scripts/closures.pl"), output="3,6,9,12,15\n"),
    Case(
        "perl_digest",
        (*PERL, "scripts/digest.pl"),
        BYTES,
        f"{hashlib.sha1(BYTES).hexdigest()}\n{base64.encodebytes(BYTES[:57]).decode()}",
        not_under_qemu=STATX,
    ),
    Case("perl_bigint", (*PERL, "scripts/big_integers.pl"), output=f"{2**200 - 1}\n", not_under_qemu=STATX),
    Case("perl_die", (*PERL, "-e", "open(F, '<', 'no') or die qq(no: $!\n)"), output="", status=2),
)

AWK_CASES = (
    Case("gawk_sum", (*GAWK, "-F,", '{ s += $3 } END { printf "%.2f", s }', "weather.csv"), output="1001.50"),
    Case("gawk_words", (*GAWK, "-f", "scripts/words.awk", "voyage.txt")),
    Case("gawk_functions", (*GAWK, "-f", "scripts/functions.awk")),
    Case("gawk_mpfr", (*GAWK, "-M", "-v", "PREC=200", 'BEGIN { printf "%.50f %d\\n", sqrt(2), 2 ^ 150 }')),
    Case("gawk_gensub", (*GAWK, r'{ print gensub(/([a-z]+) ([a-z]+)/, "\\2 \\1", "g") }', "voyage.txt")),
)

DATABASE_CASES = (
    Case(
        "sqlite_aggregate",
        (*SQLITE, ":memory:", ".read scripts/squares.sql"),
        output="".join(f"{k}|{len(values)}|{sum(values)}\n" for k, values in enumerate(SQUARES)),
    ),
    Case("sqlite_file", (*SQLITE, "weather.db", ".read scripts/weather.sql")),
    Case(
        "sqlite_json", (*SQLITE, ":memory:", "select value from json_each('[1.5,[2]]')"), output="1.5\n[2]\n"
    ),
    Case("sqlite_error", (*SQLITE, ":memory:", "select * from nowhere;"), status=1),
    Case(
        "jq_select",
        (*JQ, "-c", ".items[] | select(.stock > 0) | {name, n: (.price * .stock)}", "catalogue.json"),
    ),
    Case("jq_reduce", (*JQ, "-n", "reduce range(200) as $n (0; . + $n * $n)"), output="2646700\n"),
    Case("jq_strings", (*JQ, "-r", ".items | map(.name | ascii_upcase | @base64) | .[]", "catalogue.json")),
    Case("jq_bad_input", (*JQ, "."), b'{"a": ', status=4),
)

LUA_CASES = (
    Case("lua_numbers", (*LUA, "scripts/numbers.lua")),
    Case("lua_tables", (*LUA, "scripts/tables.lua")),
    Case(
        "lua_strings", (*LUA, "scripts/strings.lua"), b"one, two and three, four", "two one and four three\n"
    ),
    Case("lua_coroutines", (*LUA, "scripts/coroutines.lua"), output="1\t4\t9\t16\n"),
    Case("lua_errors", (*LUA, "scripts/errors.lua")),
)

OPENSSL_CASES = (
    Case(
        "openssl_sha3",
        (*OPENSSL, "dgst", "-sha3-256", "-r"),
        BYTES,
        f"{hashlib.sha3_256(BYTES).hexdigest()} *stdin\n",
    ),
    Case("openssl_aes", (*OPENSSL, "enc", "-aes-256-cbc", "-a", "-K", "7f" * 32, "-iv", "11" * 16), BYTES),
    Case("openssl_chacha", (*OPENSSL, "enc", "-chacha20", "-a", "-K", "42" * 32, "-iv", "07" * 16), LINES),
    Case(
        "openssl_prime",
        (*OPENSSL, "prime", str(2**127 - 1)),
        output=f"{2**127 - 1:X} ({2**127 - 1}) is prime\n",
    ),
    Case("openssl_hmac", (*OPENSSL, "dgst", "-sha1", "-hmac", "key", "-r"), LINES),
)

COMPRESSION_CASES = (
    Case("gzip", ("bin/gzip", "-9nc"), LINES),
    Case("gunzip", ("bin/gzip", "-dc"), gzip.compress(LINES, mtime=0), LINES.decode()),
    Case("gzip_bad", ("bin/gzip", "-t"), b"\x1f\x8b\x08broken", status=1),
    Case("bzip2", ("bin/bzip2", "-c"), LINES),
    Case("bunzip2", ("bin/bzip2", "-dc"), bz2.compress(LINES), LINES.decode()),
    Case("xz", ("usr/bin/xz", "-T1", "-6c"), LINES),
    Case("unxz", ("usr/bin/xz", "-dc"), lzma.compress(LINES), LINES.decode()),
    Case(
        "tar_create", ("bin/tar", "-cf", "-", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "tree")
    ),
    Case("tar_verbose", ("bin/tar", "-cvf", "/dev/null", "--sort=name", "tree")),
)

CALCULATOR_CASES = (
    Case("bc_pi", (*BC, "-l"), b"scale=40\n4*a(1)\n", "3.1415926535897932384626433832795028841968\n"),
    Case("bc_factorial", (*BC, "scripts/factorial.bc")),
    Case("bc_bases", BC, b"obase=16\n2^64-1\nibase=2\n101101\n", "FFFFFFFFFFFFFFFF\n2D\n"),
    Case("bc_error", BC, b"1/0\n2+2\n"),
)

SHELL_CASES = (
    Case("dash_sieve", (*DASH, "scripts/sieve.sh"), output="".join(f"{n}\n" for n in PRIMES)),
    Case("dash_functions", (*DASH, "scripts/functions.sh"), output="one\nbye\n", status=7),
    Case("dash_read", (*DASH, "scripts/read_fields.sh")),
    Case("dash_expansion", (*DASH, "scripts/expansion.sh"), output="libc.so.6 /usr/lib 18 none 3\n"),
    Case("dash_syntax_error", (*DASH, "-c", "if then"), status=2),
    Case("bash_words", (*BASH, "scripts/words.bash")),
    Case("bash_arrays", (*BASH, "scripts/arrays.bash"), output="4 5 6 7 8 20 20\n007 a1 a2 b1 b2 c1 c2\n"),
    Case("bash_sieve", (*BASH, "scripts/sieve.sh"), output="".join(f"{n}\n" for n in PRIMES)),
    Case("bash_arithmetic", (*BASH, "scripts/arithmetic.bash"), output=f"{pow(48271, 1000, 2**31 - 1)}\n"),
    Case("bash_signal", (*BASH, "-c", "trap 'echo usr1' USR1; kill -USR1 $$; echo on"), output="usr1\non\n"),
    Case("bash_killed", (*BASH, "-c", "echo on; kill -TERM $$; echo never"), output="on\n", status=-15),
)

TEXT_CASES = (
    Case("grep_count", ("bin/grep", "-c", "e", "voyage.txt")),
    Case("grep_perl", ("bin/grep", "-oP", r"\b\w+(?=,)", "voyage.txt")),
    Case("sed_script", ("bin/sed", "-n", "/noon/,/turn/{s/the/THE/gp}", "voyage.txt")),
    Case("diff", ("usr/bin/diff", "-u", "-La", "-Lb", "voyage.txt", "weather.csv"), status=1),
    Case("cmp", ("usr/bin/cmp", "voyage.txt", "-"), b"The ship sank", status=1),
)

CASES: Final[tuple[Case, ...]] = (
    *BUSYBOX_CASES,
    *COREUTILS_CASES,
    *PYTHON_CASES,
    *PERL_CASES,
    *AWK_CASES,
    *DATABASE_CASES,
    *LUA_CASES,
    *OPENSSL_CASES,
    *COMPRESSION_CASES,
    *CALCULATOR_CASES,
    *SHELL_CASES,
    *TEXT_CASES,
)
