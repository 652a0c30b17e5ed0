"""The system calls, by subject. Importing this package registers all of them."""

from __future__ import annotations

from dbt_disco.linux.calls import (
    descriptors,
    directories,
    extended_attributes,
    file_status,
    futexes,
    identity,
    input_output,
    memory,
    passed_on,
    polling,
    processes,
    resources,
    scheduling,
    signalling,
    terminals,
    time,
    timers,
)

__all__ = [
    "descriptors",
    "directories",
    "extended_attributes",
    "file_status",
    "futexes",
    "identity",
    "input_output",
    "memory",
    "passed_on",
    "polling",
    "processes",
    "resources",
    "scheduling",
    "signalling",
    "terminals",
    "time",
    "timers",
]
