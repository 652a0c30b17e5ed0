"""The guest's structures that several system calls share, as the o32 ABI lays them out, and the host's."""

from __future__ import annotations

from typing import Final

from dbt_disco.linux.layout import Layout

TIMESPEC: Final = Layout("i sec, i nsec")
"""struct timespec, and timeval (where `nsec` counts microseconds): 32-bit time."""
TIMESPEC64: Final = Layout("q sec, q nsec")
"""struct __kernel_timespec; also the host's timespec and timeval."""

STAT: Final = Layout(
    "I dev, 3I _pad1, I ino, I mode, I nlink, I uid, I gid, I rdev, 2I _pad2, i size, I _pad3, "
    "i atime, i atime_nsec, i mtime, i mtime_nsec, i ctime, i ctime_nsec, i blksize, i blocks, 14I _pad4"
)
STAT64: Final = Layout(
    "I dev, 3I _pad1, Q ino, I mode, I nlink, I uid, I gid, I rdev, 3I _pad2, q size, "
    "i atime, I atime_nsec, i mtime, I mtime_nsec, i ctime, I ctime_nsec, I blksize, I _pad3, q blocks"
)
STATX: Final = Layout(
    "I mask, I blksize, Q attributes, I nlink, I uid, I gid, H mode, H _spare0, Q ino, Q size, Q blocks, "
    "Q attributes_mask, q atime, I atime_nsec, i _a, q btime, I btime_nsec, i _b, q ctime, I ctime_nsec, "
    "i _c, q mtime, I mtime_nsec, i _m, I rdev_major, I rdev_minor, I dev_major, I dev_minor, Q mnt_id, "
    "I dio_mem_align, I dio_offset_align, 12Q _spare3"
)
"""The same on every architecture."""

STATFS: Final = Layout(
    "i type, i bsize, i frsize, i blocks, i bfree, i files, i ffree, i bavail, 2I fsid, i namelen, i flags, "
    "5i _spare"
)
STATFS64: Final = Layout(
    "I type, I bsize, I frsize, I _pad, Q blocks, Q bfree, Q files, Q ffree, Q bavail, 2I fsid, I namelen, "
    "I flags, 5I _spare"
)
HOST_STATFS: Final = Layout(
    "q type, q bsize, Q blocks, Q bfree, Q bavail, Q files, Q ffree, 2I fsid, q namelen, q frsize, q flags, "
    "4q _spare"
)

RUSAGE: Final = Layout(
    "i utime, i utime_usec, i stime, i stime_usec, i maxrss, i ixrss, i idrss, i isrss, i minflt, i majflt, "
    "i nswap, i inblock, i oublock, i msgsnd, i msgrcv, i nsignals, i nvcsw, i nivcsw"
)
HOST_RUSAGE: Final = Layout(
    "q utime, q utime_usec, q stime, q stime_usec, q maxrss, q ixrss, q idrss, q isrss, q minflt, q majflt, "
    "q nswap, q inblock, q oublock, q msgsnd, q msgrcv, q nsignals, q nvcsw, q nivcsw"
)

SYSINFO: Final = Layout(
    "i uptime, 3I loads, I totalram, I freeram, I sharedram, I bufferram, I totalswap, I freeswap, H procs, "
    "H _pad, I totalhigh, I freehigh, I mem_unit, 8B _fill"
)
HOST_SYSINFO: Final = Layout(
    "q uptime, 3Q loads, Q totalram, Q freeram, Q sharedram, Q bufferram, Q totalswap, Q freeswap, H procs, "
    "H _pad, Q totalhigh, Q freehigh, I mem_unit"
)

ITIMERVAL: Final = Layout("i interval, i interval_part, i value, i value_part")
"""struct itimerval and itimerspec with 32-bit time."""
ITIMERVAL64: Final = Layout("q interval, q interval_part, q value, q value_part")
"""struct itimerspec with 64-bit time; also the host's itimerval and itimerspec."""

SIGEVENT: Final = Layout("I value, i signo, i notify, I tid")
HOST_SIGEVENT: Final = Layout("Q value, i signo, i notify, I tid, 11I _pad")

UTSNAME: Final = Layout("65s sysname, 65s nodename, 65s release, 65s version, 65s machine, 65s domainname")

TMS: Final = Layout("i utime, i stime, i cutime, i cstime")
HOST_TMS: Final = Layout("q utime, q stime, q cutime, q cstime")
