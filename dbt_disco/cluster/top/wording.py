"""How figures are said, in plain text and on the full screen alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_MB: Final = 1 << 20
_PATH_MAX: Final = 36


def megabytes(size: float) -> str:
    """Bytes in MB of 2^20."""
    return f"{size / _MB:.1f}"


def in_percent(value: float) -> str:
    """Not 100.0 unless it is."""
    return "100.0" if value >= 100 else f"{min(value, 99.9):.1f}"


def duration(seconds: float) -> str:
    """H:MM:SS."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}"


def by_size(counts: Mapping[str, float]) -> list[tuple[str, float]]:
    """Counts that are not 0, the largest first, by names for people."""
    found = [(name.replace("_", " "), count) for name, count in counts.items() if count]
    return sorted(found, key=lambda item: (-item[1], item[0]))


def shortened(path: str, width: int = _PATH_MAX) -> str:
    """Of a path that is too long as many of its last parts as fit."""
    if len(path) <= width:
        return path
    parts = path[1 - width :].split("/")
    return "…/" + "/".join(parts[1:]) if len(parts) > 1 else "…" + parts[0]


def translation_words(cache: Mapping[str, int]) -> str:
    """The translation cache, as `cluster_statistics` has it."""
    return (
        f"{cache['regions']} regions, {megabytes(cache['code_bytes'])} MB; "
        f"arena {megabytes(cache['arena_used'])} of {megabytes(cache['arena_capacity'])} MB; "
        f"{cache['remembered']} translations compiled here"
    )


def placement_words(statistics: Mapping[str, Any]) -> str:
    """How much memory is where it is used, and what has been done about it; nothing if nobody sees to it."""
    placement = statistics.get("placement")
    if not placement:
        return ""
    local = placement.get("local_fraction")
    words = [] if local is None else [f"{in_percent(100 * local)} % local"]
    sampled = placement.get("sampled")
    words += [] if sampled is None else [f"{sampled} sampled"]
    moves = ("migrated", "replicated", "collapsed")
    words += [f"{placement[move]} {move}" for move in moves if move in placement]
    return ", ".join(words)


def sharing_words(statistics: Mapping[str, Any]) -> str:
    """What has come of looking for equal pages; nothing if nobody does."""
    sharing = statistics.get("content_sharing")
    if not isinstance(sharing, Mapping):
        return ""
    return ", ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in sharing.items())


def _number(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
