"""`dbt-disco cache`: what the translation cache holds, and emptying it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dbt_disco.command_error import CommandError
from runtime.disk_cache import cache_directory, generation_key, generations

if TYPE_CHECKING:
    from dbt_disco.argument_parser import ArgumentParser


class _Usage(NamedTuple):
    regions: int
    files: int
    size: int
    """In bytes."""


def add_parser(subparsers: Any) -> ArgumentParser:
    """Declare the options."""
    parser: ArgumentParser = subparsers.add_parser(
        "cache",
        help="show or clear the translation cache",
        description="The cache keeps native code and decoded words for later runs. Each generation belongs to one "
        "version of the translator on one host CPU; others' are never used.",
    )
    parser.add_argument(
        "action",
        nargs="?",
        choices=("show", "clear"),
        default="show",
        help="show what it holds (default), or remove it",
    )
    parser.add_argument(
        "--old", action="store_true", help="clear only generations other than the current one"
    )
    return parser


def execute(options: Any) -> int:
    """Show or clear."""
    if options.action == "clear":
        return _clear(only_old=options.old)
    if options.old:
        raise CommandError("--old is for `dbt-disco cache clear`", 2)
    return _show()


def _show() -> int:
    print(f"location: {cache_directory()}")
    found = generations()
    if not found:
        print("empty")
    for path in found:
        usage = _usage(path)
        current = "  (current)" if path.name == generation_key() else ""
        files = f"{usage.files:6} files {usage.regions:6} regions {usage.size:12,} bytes"
        print(f"generation {path.name} {files}{current}")
    return 0


def _clear(*, only_old: bool) -> int:
    removed = [path for path in generations() if not (only_old and path.name == generation_key())]
    usages = [_usage(path) for path in removed]
    for path in removed:
        shutil.rmtree(path, ignore_errors=True)  # another process may be writing there
        if path.exists() and not os.access(path.parent, os.W_OK):
            raise CommandError(f"{path}: cannot be removed; check the permissions of {path.parent}")
    files, size = sum(usage.files for usage in usages), sum(usage.size for usage in usages)
    print(f"removed {len(removed)} generations, {files} files, {size:,} bytes")
    return 0


def _usage(path: Path) -> _Usage:
    regions = files = size = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                size += os.stat(os.path.join(directory, name)).st_size
            except OSError:
                continue  # gone meanwhile
            files += 1
            regions += os.path.basename(directory) == "regions"
    return _Usage(regions, files, size)
