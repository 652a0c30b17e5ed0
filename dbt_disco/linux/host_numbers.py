"""The host's system-call numbers, per architecture, of the calls made on the guest's behalf."""

from __future__ import annotations

import platform
from typing import Final

_ARCHITECTURES: Final = ("x86_64", "aarch64")

# name, number on x86-64 (asm/unistd_64.h), number on AArch64 (asm-generic/unistd.h)
_TABLE: Final = """
    acct 163 89
    capget 125 90
    capset 126 91
    chdir 80 49
    chroot 161 51
    clock_getres 229 114
    clock_gettime 228 113
    clock_nanosleep 230 115
    clock_settime 227 112
    close 3 57
    close_range 436 436
    copy_file_range 326 285
    dup 32 23
    dup3 292 24
    epoll_create1 291 20
    epoll_ctl 233 21
    epoll_pwait 281 22
    eventfd2 290 19
    faccessat 269 48
    faccessat2 439 439
    fadvise64 221 223
    fallocate 285 47
    fchdir 81 50
    fchmod 91 52
    fchmodat 268 53
    fchown 93 55
    fchownat 260 54
    fcntl 72 25
    fdatasync 75 83
    fgetxattr 193 10
    flistxattr 196 13
    flock 73 32
    fremovexattr 199 16
    fsetxattr 190 7
    fstatfs 138 44
    fsync 74 82
    ftruncate 77 46
    futex 202 98
    getcpu 309 168
    getcwd 79 17
    getdents64 217 61
    getegid 108 177
    geteuid 107 175
    getgid 104 176
    getgroups 115 158
    getitimer 36 102
    getpgid 121 155
    getpid 39 172
    getppid 110 173
    getpriority 140 141
    getrandom 318 278
    getresgid 120 150
    getresuid 118 148
    getrusage 98 165
    getsid 124 156
    gettid 186 178
    gettimeofday 96 169
    getuid 102 174
    getxattr 191 8
    inotify_add_watch 254 27
    inotify_init1 294 26
    inotify_rm_watch 255 28
    ioctl 16 29
    ioprio_get 252 31
    ioprio_set 251 30
    kill 62 129
    lgetxattr 192 9
    linkat 265 37
    listxattr 194 11
    llistxattr 195 12
    lremovexattr 198 15
    lseek 8 62
    lsetxattr 189 6
    madvise 28 233
    membarrier 324 283
    memfd_create 319 279
    mincore 27 232
    mkdirat 258 34
    mknodat 259 33
    mlock 149 228
    mlockall 151 230
    msync 26 227
    munlock 150 229
    munlockall 152 231
    nanosleep 35 101
    openat 257 56
    openat2 437 437
    personality 135 92
    pipe2 293 59
    ppoll 271 73
    prctl 157 167
    pread64 17 67
    preadv 295 69
    preadv2 327 286
    prlimit64 302 261
    pselect6 270 72
    pwrite64 18 68
    pwritev 296 70
    pwritev2 328 287
    read 0 63
    readahead 187 213
    readlinkat 267 78
    readv 19 65
    removexattr 197 14
    renameat2 316 276
    rt_sigaction 13 134
    rt_sigpending 127 136
    rt_sigprocmask 14 135
    rt_sigqueueinfo 129 138
    rt_sigsuspend 130 133
    rt_sigtimedwait 128 137
    rt_tgsigqueueinfo 297 240
    sched_get_priority_max 146 125
    sched_get_priority_min 147 126
    sched_getaffinity 204 123
    sched_getparam 143 121
    sched_getscheduler 145 120
    sched_rr_get_interval 148 127
    sched_setaffinity 203 122
    sched_setparam 142 118
    sched_setscheduler 144 119
    sched_yield 24 124
    sendfile 40 71
    setdomainname 171 162
    setfsgid 123 152
    setfsuid 122 151
    setgid 106 144
    setgroups 116 159
    sethostname 170 161
    setitimer 38 103
    setpgid 109 154
    setpriority 141 140
    setregid 114 143
    setresgid 119 149
    setresuid 117 147
    setreuid 113 145
    setsid 112 157
    setuid 105 146
    setxattr 188 5
    signalfd4 289 74
    splice 275 76
    statfs 137 43
    statx 332 291
    symlinkat 266 36
    sync 162 81
    sync_file_range 277 84
    syncfs 306 267
    sysinfo 99 179
    tee 276 77
    tgkill 234 131
    timer_create 222 107
    timer_delete 226 111
    timer_getoverrun 225 109
    timer_gettime 224 108
    timer_settime 223 110
    timerfd_create 283 85
    timerfd_gettime 287 87
    timerfd_settime 286 86
    times 100 153
    tkill 200 130
    truncate 76 45
    umask 95 166
    unlinkat 263 35
    utimensat 280 88
    vhangup 153 58
    wait4 61 260
    waitid 247 95
    write 1 64
    writev 20 66
"""


def host_numbers(machine: str) -> dict[str, int]:
    """The numbers by name for a `platform.machine()`; `OSError` for a machine that is not supported."""
    if machine not in _ARCHITECTURES:
        raise OSError(f"programs can be run on {' and '.join(_ARCHITECTURES)} hosts, not on {machine}")
    column = 1 + _ARCHITECTURES.index(machine)
    return {fields[0]: int(fields[column]) for line in _TABLE.split("\n") if (fields := line.split())}


NUMBERS: Final = host_numbers(platform.machine())
"""This host's numbers."""
