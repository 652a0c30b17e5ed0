#!/usr/bin/env python3
"""Build the guest programs, or check that what is committed is what the sources give.

    guests/build.py             rebuild everything in place
    guests/build.py --check     build elsewhere and compare byte for byte; exit 1 and name what differs
    guests/build.py sieve lz    rebuild these programs only

Needs Debian's gcc-mipsel-linux-gnu and gcc-mips-linux-gnu. The C library is musl, built here from Debian's
source package (`apt-get source`; or --musl-source FILE): static programs of 30 kB each that use a real stdio,
malloc and string library, for both endians. Bare-metal images (system/) are linked with system/runtime alone, and
the demo's kernel (kernel/) with nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

GUESTS = Path(__file__).resolve().parent
REPOSITORY = GUESTS.parent

COMPILE_FLAGS = (
    "-std=gnu11 -O2 -fno-tree-vectorize -ffp-contract=off -mips32r2 -mhard-float -fno-pic -fno-pie"
    " -fno-stack-protector -fno-asynchronous-unwind-tables -Wall -Wextra"
).split()
LINK_FLAGS = (
    "-static -no-pie -nostdlib -Wl,--build-id=none -Wl,--gc-sections -Wl,--hash-style=sysv -Wl,-z,noexecstack"
).split()
IMAGE_FLAGS = (
    "-std=gnu11 -O2 -ffreestanding -mips32r2 -mhard-float -mno-abicalls -G0 -fno-pic -fno-pie -fno-stack-protector"
    " -fno-asynchronous-unwind-tables -Wall -Wextra -Wno-main -Wa,-mno-fix-loongson3-llsc -Isystem/runtime"
).split()
BARE_LINK_FLAGS = (
    "-static -no-pie -nostdlib -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments"
).split()
IMAGE_LINK_FLAGS = [
    *BARE_LINK_FLAGS,
    *"-Wl,-z,max-page-size=16 -Wl,--nmagic -Tsystem/runtime/image.ld".split(),
]
MUSL_COMPILE_FLAGS = "-O2 -fno-tree-vectorize -mips32r2 -mhard-float -fno-pic -fno-pie"
DROPPED_SECTIONS = (".comment", ".gnu.attributes", ".pdr", ".mdebug.abi32")

MUSL_VERSION = "1.2.3"
MUSL_SHA256 = "7d5b0b6062521e4627e099e4c9dc8248d32a30285e959b7eecaa780cf8cfd4a4"

BARE_KERNEL = GUESTS / "bare" / "kernel.c"
BARE_LIBRARY = GUESTS / "bare" / "library.c"
BARE_FLAGS = [*IMAGE_FLAGS, "-fno-tree-vectorize", "-ffp-contract=off", "-Ibare/include"]

DEMO_KERNEL = GUESTS / "kernel"
DEMO_KERNEL_FLAGS = [*IMAGE_FLAGS, "-msoft-float", "-fno-tree-loop-distribute-patterns"]
DEMO_KERNEL_LINK_FLAGS = [*BARE_LINK_FLAGS, "-Wl,-z,max-page-size=4096", "-Tkernel/kernel.ld"]

PREBUILT_BIG_ENDIAN = frozenset({"sha256", "lz", "words", "nbody", "blur"})
"""Benchmark programs that are built for the big-endian target as well; all others are little-endian only."""


class BuildError(Exception):
    """Something the build needs is missing or failed; the message says what to do."""


@dataclass(frozen=True)
class Target:
    """A guest architecture and the prefix of its cross toolchain."""

    name: str
    triplet: str

    def tool(self, tool: str) -> str:
        path = shutil.which(f"{self.triplet}-{tool}")
        if path is None:
            raise BuildError(f"{self.triplet}-{tool} not found: install Debian's gcc-{self.triplet}")
        return path


LITTLE_ENDIAN = Target("mipsel", "mipsel-linux-gnu")
BIG_ENDIAN = Target("mips", "mips-linux-gnu")


@dataclass(frozen=True)
class Program:
    """One guest: a source file (or directory), a target and the place of the result relative to the repository."""

    source: Path
    target: Target
    output: Path

    @property
    def is_image(self) -> bool:
        """Whether it runs on a bare machine, without Linux and its C library."""
        return self.source == DEMO_KERNEL or self.source.parent in (GUESTS / "system", GUESTS / "bare")

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return "demo_kernel" if self.source == DEMO_KERNEL else self.source.stem


def programs() -> Iterator[Program]:
    """Every guest program there is."""
    for source in sorted((GUESTS / "bench").glob("*.c")):
        yield Program(source, LITTLE_ENDIAN, Path("guests/prebuilt/mipsel/bench", source.stem))
        if source.stem in PREBUILT_BIG_ENDIAN:
            yield Program(source, BIG_ENDIAN, Path("guests/prebuilt/mips/bench", source.stem))
    for source in sorted((GUESTS / "linux").glob("*.c")):
        for target in (LITTLE_ENDIAN, BIG_ENDIAN):
            yield Program(source, target, Path("guests/prebuilt", target.name, "linux", source.stem))
    for source in sorted((GUESTS / "system").glob("*.[cS]")):
        for target in (LITTLE_ENDIAN, BIG_ENDIAN):
            yield Program(source, target, Path("guests/prebuilt", target.name, "system", source.stem))
    yield Program(BARE_KERNEL, LITTLE_ENDIAN, Path("guests/prebuilt/mipsel/bare/kernel"))
    for target in (LITTLE_ENDIAN, BIG_ENDIAN):
        yield Program(DEMO_KERNEL, target, Path("dbt_disco/demo/guest", target.name, "kernel"))
    for source in sorted((GUESTS / "embedded").glob("*.c")):
        for target in (LITTLE_ENDIAN, BIG_ENDIAN):
            yield Program(source, target, Path("dbt_disco/embedded", target.name, source.stem))


def run(command: list[str], directory: Path) -> str:
    """Run a command of the build; its standard output. BuildError with its last words if it fails."""
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    if done.returncode != 0:
        words = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise BuildError(f"{' '.join(command)}\nfailed with status {done.returncode}:\n{words}")
    return done.stdout


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base, "dbt-disco", "guests")


def fetch_musl(directory: Path) -> Path:
    """Download musl's source through the host's apt, in an apt state of its own; the archive's path."""
    if shutil.which("apt-get") is None:
        raise BuildError(f"no apt-get here: give the archive of musl {MUSL_VERSION} with --musl-source")
    archives = {
        line.strip()
        for line in run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Origin: Debian"],
            directory,
        ).splitlines()
    }
    sources = directory / "sources.list"
    sources.write_text("".join(f"deb-src {archive}\n" for archive in sorted(archives)))
    for name in ("lists", "cache/archives"):
        (directory / name / "partial").mkdir(parents=True)
    apt = [
        "apt-get",
        f"-oDir::State::Lists={directory / 'lists'}",
        f"-oDir::Cache={directory / 'cache'}",
        f"-oDir::Etc::SourceList={sources}",
        "-oDir::Etc::SourceParts=/dev/null",
        "-oAPT::Sandbox::User=root",
    ]
    run([*apt, "update"], directory)
    run([*apt, "source", "--download-only", "musl"], directory)
    return directory / f"musl_{MUSL_VERSION}.orig.tar.gz"


def find_musl(given: Path | None) -> Path:
    """The archive of musl's source: the given one, the cached one, or a fresh download."""
    cached = cache_directory() / f"musl-{MUSL_VERSION}.tar.gz"
    with tempfile.TemporaryDirectory(prefix="musl-") as scratch:
        archive = given or (cached if cached.exists() else fetch_musl(Path(scratch)))
        if not archive.exists():
            raise BuildError(f"{archive}: no such file; musl {MUSL_VERSION} is what is needed")
        if hashlib.sha256(archive.read_bytes()).hexdigest() != MUSL_SHA256:
            raise BuildError(f"{archive}: not the source of musl {MUSL_VERSION} that this script knows")
        if archive != cached:
            cached.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(archive, cached)
    return cached


def build_musl(target: Target, source: Path) -> Path:
    """Build and install musl for a target, or find it built earlier; the installation's directory."""
    compiler = run([target.tool("gcc"), "--version"], GUESTS).splitlines()[0]
    key = hashlib.sha256(f"{MUSL_SHA256} {compiler} {MUSL_COMPILE_FLAGS}".encode()).hexdigest()[:16]
    installed = cache_directory() / f"musl-{target.name}-{key}"
    if installed.exists():
        return installed
    with tempfile.TemporaryDirectory(prefix="musl-", dir=cache_directory()) as scratch:
        with tarfile.open(source) as archive:
            archive.extractall(scratch)  # its digest is known; `filter` is missing in Python 3.11.2
        tree = Path(scratch, f"musl-{MUSL_VERSION}")
        configure = [
            "./configure",
            f"--target={target.name}-linux-musl",
            f"--prefix={scratch}/installed",
            "--disable-shared",
            *(f"{name.upper()}={target.tool(name)}" for name in ("ar", "ranlib")),
            f"CC={target.tool('gcc')}",
            f"CFLAGS={MUSL_COMPILE_FLAGS}",
        ]
        run(configure, tree)
        run(["make", f"-j{os.cpu_count()}", "install"], tree)
        link_kernel_headers(target, Path(scratch, "installed", "include"))
        os.replace(Path(scratch, "installed"), installed)
    return installed


def link_kernel_headers(target: Target, include: Path) -> None:
    """Let guests include the kernel's headers, which the cross C library's package brings along."""
    for name in ("asm", "asm-generic", "linux"):
        headers = Path("/usr", target.triplet, "include", name)
        if not headers.is_dir():
            raise BuildError(f"{headers} not found: install Debian's linux-libc-dev-{target.name}-cross")
        (include / name).symlink_to(headers)


def build_program(program: Program, musl: Path, root: Path) -> None:
    """Compile, link and strip one program into `root`. Function names stay, for `dbt-disco dump --symbol`."""
    target = program.target
    output = root / program.output
    output.parent.mkdir(parents=True, exist_ok=True)
    libgcc = run([target.tool("gcc"), "-print-libgcc-file-name"], GUESTS).strip()
    library = musl / "lib"
    run(
        [target.tool("gcc"), *COMPILE_FLAGS, "-nostdinc", "-isystem", str(musl / "include")]
        + ["-isystem", str(Path(libgcc).parent / "include"), *LINK_FLAGS, "-o", str(output)]
        + [str(library / "crt1.o"), str(library / "crti.o"), str(program.source.relative_to(GUESTS))]
        + ["-Wl,--start-group", str(library / "libc.a"), libgcc, "-Wl,--end-group", str(library / "crtn.o")],
        GUESTS,
    )
    drop = [f"--remove-section={section}" for section in DROPPED_SECTIONS]
    run([target.tool("strip"), "--strip-debug", "--discard-all", *drop, str(output)], GUESTS)


def build_image_runtime(target: Target, directory: Path) -> Path:
    """Compile what the bare-metal images share; the archive, from which each takes what it uses."""
    archive = directory / f"{target.name}.a"
    objects = []
    for source in sorted((GUESTS / "system" / "runtime").glob("*.[cS]")):
        objects.append(str(directory / f"{target.name}-{source.stem}.o"))
        run(
            [target.tool("gcc"), *IMAGE_FLAGS, "-c", "-o", objects[-1], str(source.relative_to(GUESTS))],
            GUESTS,
        )
    run([target.tool("ar"), "rcs", str(archive), *objects], GUESTS)
    return archive


def build_image(program: Program, runtime: Path, root: Path) -> None:
    """Compile, link and strip one bare-metal image into `root`."""
    target = program.target
    output = root / program.output
    output.parent.mkdir(parents=True, exist_ok=True)
    sources = [str(program.source.relative_to(GUESTS)), str(runtime)]
    run([target.tool("gcc"), *IMAGE_FLAGS, *IMAGE_LINK_FLAGS, "-o", str(output), *sources], GUESTS)
    run([target.tool("strip"), str(output)], GUESTS)


def build_kernel(program: Program, runtime: Path, root: Path) -> None:
    """Compile, link and strip the bare-metal kernel with the benchmark programs that are made for it."""
    target = program.target
    output = root / program.output
    output.parent.mkdir(parents=True, exist_ok=True)
    table = tomllib.loads((GUESTS / "bench" / "programs.toml").read_text())
    names = [name for name, entry in table.items() if entry.get("bare")]
    defined = f"-DPROGRAMS={' '.join(f'P({name})' for name in names)}"
    sources = [(BARE_KERNEL, [defined]), (BARE_LIBRARY, [])]
    sources += [(GUESTS / "bench" / f"{name}.c", [f"-Dmain={name}_main"]) for name in names]
    with tempfile.TemporaryDirectory(prefix="kernel-") as scratch:
        objects = []
        for source, flags in sources:
            objects.append(str(Path(scratch, f"{source.stem}.o")))
            command = [target.tool("gcc"), *BARE_FLAGS, *flags, "-c", "-o", objects[-1]]
            run([*command, str(source.relative_to(GUESTS))], GUESTS)
        linker = [target.tool("gcc"), *IMAGE_FLAGS, *IMAGE_LINK_FLAGS, "-o", str(output)]
        run([*linker, *objects, str(runtime)], GUESTS)
    run([target.tool("strip"), str(output)], GUESTS)


def build_demo_kernel(program: Program, root: Path) -> None:
    """Compile, link and strip the demo's kernel, all of whose sources are in its directory."""
    target = program.target
    output = root / program.output
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="demo-kernel-") as scratch:
        objects = []
        for source in sorted(program.source.glob("*.[cS]")):
            objects.append(str(Path(scratch, f"{source.stem}.o")))
            command = [target.tool("gcc"), *DEMO_KERNEL_FLAGS, "-c", "-o", objects[-1]]
            run([*command, str(source.relative_to(GUESTS))], GUESTS)
        run([target.tool("gcc"), *DEMO_KERNEL_LINK_FLAGS, "-o", str(output), *objects], GUESTS)
    run([target.tool("strip"), str(output)], GUESTS)


def build(chosen: list[Program], musl_source: Path | None, root: Path) -> None:
    """Build the chosen programs into `root`, a repository or an empty directory."""
    images = [program for program in chosen if program.is_image]
    hosted = [program for program in chosen if not program.is_image]
    source = find_musl(musl_source) if hosted else Path()
    musl = {target: build_musl(target, source) for target in {program.target for program in hosted}}
    with tempfile.TemporaryDirectory(prefix="guests-") as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        runtime = {
            target: build_image_runtime(target, Path(scratch))
            for target in {image.target for image in images}
        }
        builds = [
            pool.submit(build_demo_kernel, image, root)
            if image.source == DEMO_KERNEL
            else pool.submit(
                build_kernel if image.source == BARE_KERNEL else build_image, image, runtime[image.target], root
            )
            for image in images
        ]
        builds += [pool.submit(build_program, each, musl[each.target], root) for each in hosted]
        for future in builds:
            future.result()


def differences(chosen: list[Program], root: Path) -> list[str]:
    """What is committed but differs from what was built in `root`, or is missing, or has no source any more."""
    found = []
    for program in chosen:
        committed = REPOSITORY / program.output
        if not committed.exists():
            found.append(f"{program.output}: not committed")
        elif committed.read_bytes() != (root / program.output).read_bytes():
            found.append(f"{program.output}: differs from its rebuilt self")
    known = {REPOSITORY / program.output for program in programs()}
    for directory in ("guests/prebuilt", "dbt_disco/embedded", "dbt_disco/demo/guest"):
        for path in sorted((REPOSITORY / directory).glob("mips*/**/*")):
            if path.is_file() and path not in known:
                found.append(f"{path.relative_to(REPOSITORY)}: has no source")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the guest programs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="programs to build (default: all)")
    parser.add_argument("--check", action="store_true", help="compare a fresh build with what is committed")
    parser.add_argument("--musl-source", type=Path, metavar="FILE", help=f"archive of musl {MUSL_VERSION}")
    options = parser.parse_args()
    known = list(programs())
    chosen = [program for program in known if not options.names or program.name in options.names]
    for name in set(options.names) - {program.name for program in known}:
        parser.error(f"no guest program is called {name}")
    try:
        if not options.check:
            build(chosen, options.musl_source, REPOSITORY)
            print(f"{len(chosen)} programs built")
            return 0
        with tempfile.TemporaryDirectory(prefix="guests-") as scratch:
            build(chosen, options.musl_source, Path(scratch))
            found = differences(chosen, Path(scratch))
    except BuildError as error:
        print(f"guests/build.py: {error}", file=sys.stderr)
        return 2
    for line in found:
        print(line, file=sys.stderr)
    print(f"{len(chosen)} programs rebuilt, {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
