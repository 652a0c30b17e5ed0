"""Calls that the host answers: at most paths are translated, and a call with a directory takes an older one's place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dbt_disco.linux.confinement import CONFINING_CALLS
from dbt_disco.linux.guest_path import LONGEST_PATH, followed_path, guest_path
from dbt_disco.linux.host_kernel import host_call
from dbt_disco.linux.system_call import (
    DIRFD,
    FD,
    FOLLOWED_PATH,
    INT,
    LONG_LONG,
    MODE,
    PATH,
    SIZE,
    TEXT,
    UINT,
    Handler,
    Kind,
    system_call,
)

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_HERE: Final = -100  # AT_FDCWD
_AT_REMOVEDIR: Final = 0x200
_AT_SYMLINK_NOFOLLOW: Final = 0x100

# The guest's call, the host's, and what the host gets: a kind stands for the guest's next argument, a number for
# itself.
_CALLS: Final[tuple[tuple[str, str, tuple[Kind | int, ...]], ...]] = (
    # Names.
    ("mkdir", "mkdirat", (_HERE, PATH, MODE)),
    ("mkdirat", "mkdirat", (DIRFD, PATH, MODE)),
    ("mknod", "mknodat", (_HERE, PATH, MODE, UINT)),
    ("mknodat", "mknodat", (DIRFD, PATH, MODE, UINT)),
    ("rmdir", "unlinkat", (_HERE, PATH, _AT_REMOVEDIR)),
    ("unlink", "unlinkat", (_HERE, PATH, 0)),
    ("unlinkat", "unlinkat", (DIRFD, PATH, UINT)),
    ("rename", "renameat2", (_HERE, PATH, _HERE, PATH, 0)),
    ("renameat", "renameat2", (DIRFD, PATH, DIRFD, PATH, 0)),
    ("renameat2", "renameat2", (DIRFD, PATH, DIRFD, PATH, UINT)),
    ("link", "linkat", (_HERE, PATH, _HERE, PATH, 0)),
    ("linkat", "linkat", (DIRFD, PATH, DIRFD, PATH, UINT)),
    ("symlink", "symlinkat", (TEXT, _HERE, PATH)),
    ("symlinkat", "symlinkat", (TEXT, DIRFD, PATH)),
    ("fchdir", "fchdir", (FD,)),
    ("chroot", "chroot", (PATH,)),
    # Permissions and owners.
    ("access", "faccessat", (_HERE, FOLLOWED_PATH, MODE)),
    ("faccessat", "faccessat", (DIRFD, FOLLOWED_PATH, MODE)),
    ("chmod", "fchmodat", (_HERE, FOLLOWED_PATH, MODE)),
    ("fchmod", "fchmod", (FD, MODE)),
    ("fchmodat", "fchmodat", (DIRFD, FOLLOWED_PATH, MODE)),
    ("chown", "fchownat", (_HERE, FOLLOWED_PATH, INT, INT, 0)),
    ("lchown", "fchownat", (_HERE, PATH, INT, INT, _AT_SYMLINK_NOFOLLOW)),
    ("fchown", "fchown", (FD, INT, INT)),
    ("umask", "umask", (MODE,)),
    # Open files.
    ("dup", "dup", (FD,)),
    ("truncate", "truncate", (FOLLOWED_PATH, INT)),
    ("truncate64", "truncate", (FOLLOWED_PATH, LONG_LONG)),
    ("ftruncate", "ftruncate", (FD, INT)),
    ("ftruncate64", "ftruncate", (FD, LONG_LONG)),
    ("fallocate", "fallocate", (FD, INT, LONG_LONG, LONG_LONG)),
    ("fadvise64", "fadvise64", (FD, LONG_LONG, LONG_LONG, INT)),
    ("readahead", "readahead", (FD, LONG_LONG, SIZE)),
    ("sync", "sync", ()),
    ("syncfs", "syncfs", (FD,)),
    ("fsync", "fsync", (FD,)),
    ("fdatasync", "fdatasync", (FD,)),
    ("sync_file_range", "sync_file_range", (FD, LONG_LONG, LONG_LONG, UINT)),
    # Who the process is.
    ("getpid", "getpid", ()),
    ("getppid", "getppid", ()),
    ("gettid", "gettid", ()),
    ("getpgrp", "getpgid", (0,)),
    ("getpgid", "getpgid", (INT,)),
    ("setpgid", "setpgid", (INT, INT)),
    ("getsid", "getsid", (INT,)),
    ("setsid", "setsid", ()),
    ("getuid", "getuid", ()),
    ("geteuid", "geteuid", ()),
    ("getgid", "getgid", ()),
    ("getegid", "getegid", ()),
    ("setuid", "setuid", (INT,)),
    ("setgid", "setgid", (INT,)),
    ("setreuid", "setreuid", (INT, INT)),
    ("setregid", "setregid", (INT, INT)),
    ("setresuid", "setresuid", (INT, INT, INT)),
    ("setresgid", "setresgid", (INT, INT, INT)),
    ("setfsuid", "setfsuid", (INT,)),
    ("setfsgid", "setfsgid", (INT,)),
    ("vhangup", "vhangup", ()),
    # Scheduling and timers.
    ("getpriority", "getpriority", (INT, INT)),
    ("setpriority", "setpriority", (INT, INT, INT)),
    ("sched_yield", "sched_yield", ()),
    ("sched_getscheduler", "sched_getscheduler", (INT,)),
    ("sched_get_priority_max", "sched_get_priority_max", (INT,)),
    ("sched_get_priority_min", "sched_get_priority_min", (INT,)),
    ("membarrier", "membarrier", (INT, UINT, INT)),
    ("timer_getoverrun", "timer_getoverrun", (INT,)),
    ("timer_delete", "timer_delete", (INT,)),
)


def _translated(process: LinuxProcess, kind: Kind, argument: int) -> int | bytes:
    if kind is PATH:
        return guest_path(process, argument)
    if kind is FOLLOWED_PATH:
        return followed_path(process, argument)
    if kind is TEXT:
        return process.memory.string(argument, LONGEST_PATH)
    return argument


def _passed_on(host_name: str, parts: tuple[Kind | int, ...]) -> Handler:
    confines = host_name in CONFINING_CALLS

    def call(process: LinuxProcess, *arguments: int) -> int:
        if confines:
            process.prepare_for_confinement()
        given = iter(arguments)
        return host_call(
            host_name,
            *(part if isinstance(part, int) else _translated(process, part, next(given)) for part in parts),
        )

    return call


for _name, _host_name, _parts in _CALLS:
    system_call(_name, *(part for part in _parts if isinstance(part, Kind)))(_passed_on(_host_name, _parts))
