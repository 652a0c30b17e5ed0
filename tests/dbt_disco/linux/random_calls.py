"""Make random system calls in this process: `python -m tests.dbt_disco.linux.random_calls SEED COUNT`.

Run in an empty directory, the standard descriptors being files in it. Left out is what waits, what changes
the host or this process for good, and what ends the guest; an exception that gets through is a defect.
"""

from __future__ import annotations

import os
import random
import sys

from dbt_disco.linux.call_numbers import NAMES
from dbt_disco.linux.guest_memory import GuestMemory
from dbt_disco.linux.loader import LoadedProgram
from dbt_disco.linux.process import LinuxProcess
from dbt_disco.linux.system_call import CALLS
from runtime.address_space import EXEC, READ, WRITE, AddressSpace
from tests.dbt_disco.linux.idle_process import IdleVcpu

LEFT_OUT = frozenset(
    [
        "_OUT",
        "exit",
        "exit_group",
        "pause",
        "sigsuspend",
        "rt_sigsuspend",
        "sigreturn",
        "rt_sigreturn",
        "nanosleep",
        "clock_nanosleep",
        "clock_nanosleep_time64",
        "poll",
        "ppoll",
        "ppoll_time64",
        "_newselect",
        "pselect6",
        "pselect6_time64",
        "epoll_wait",
        "epoll_pwait",
        "futex",
        "futex_time64",
        "rt_sigtimedwait",
        "rt_sigtimedwait_time64",
        "flock",
        "kill",
        "tkill",
        "tgkill",
        "rt_sigqueueinfo",
        "rt_tgsigqueueinfo",
        "alarm",
        "setitimer",
        "timer_settime",
        "timer_settime64",
        "timer_create",
        "chroot",
        "setuid",
        "setgid",
        "setreuid",
        "setregid",
        "setresuid",
        "setresgid",
        "setfsuid",
        "setfsgid",
        "setgroups",
        "setpgid",
        "setsid",
        "vhangup",
        "sync",
        "syncfs",
        "clock_settime",
        "clock_settime64",
        "setrlimit",
        "prlimit64",
        "setpriority",
        "nice",
        "sched_setscheduler",
        "sched_setparam",
        "sched_setaffinity",
        "prctl",
        "personality",
        "chdir",
        "fchdir",
        "fallocate",
        "truncate",
        "truncate64",
        "ftruncate",
        "ftruncate64",
        "fcntl",
        "fcntl64",
        "splice",
        "chown",
        "lchown",
        "fchownat",
        "mknod",
        "mknodat",
        "ioctl",
        "dup2",
        "dup3",
        "close_range",
        "close",
        "fchmod",
        "fchown",
        "fsetxattr",
        "fremovexattr",
    ]
)
DATA = 0x10_0000
NAMES_AT = DATA + 0x1000
END = DATA + 0x4000
INTERESTING = (0, 1, 2, 3, 4, 8, 16, 100, 4095, 4096, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0xFFFF_FF9C)
PLACES = (DATA, DATA + 1, NAMES_AT, NAMES_AT + 8, NAMES_AT + 12, END - 4, END - 1, END, 0x7FFF_F000, 0x5000)
NAMES_IN_MEMORY = b"one\0two\0link\0user.x\0/proc/self/maps\0/proc/self/exe\0"


def main(seed: int, count: int) -> None:
    chance = random.Random(seed)
    space = AddressSpace()
    space.search_top = 0x7000_0000
    vcpu = IdleVcpu(space, chance.random() < 0.5)
    program = LoadedProgram(b"/program", (b"program",), vcpu.big_endian, False, 0, END - 64, END, END, b"")
    process = LinuxProcess(vcpu, program)
    memory = GuestMemory(space, vcpu.big_endian)
    numbers = [number for number, name in NAMES.items() if name in CALLS and name not in LEFT_OUT]
    for step in range(count):
        if step % 50 == 0:
            space.unmap(0x1_0000, 0x7000_0000)
            space.map_anonymous(DATA, END - DATA, READ | WRITE | EXEC)
            for place in range(DATA, NAMES_AT, 4):
                memory.set_word(place, chance.choice(INTERESTING + PLACES))
            space.write(NAMES_AT, NAMES_IN_MEMORY)
            for fd in range(3, 40):
                if os.path.exists(f"/proc/self/fd/{fd}"):
                    os.close(fd)
            os.open("one", os.O_RDWR | os.O_CREAT)
        state = vcpu.state
        state.gpr[2] = chance.choice(numbers)
        state.gpr[29] = chance.choice((DATA, DATA + 64, END - 20, 0x5000))
        for register in range(4, 8):
            state.gpr[register] = chance.choice(
                (chance.choice(INTERESTING), chance.choice(PLACES), chance.getrandbits(32))
            )
        call = f"{NAMES[state.gpr[2]]}({', '.join(map(hex, state.gpr[4:8]))}), seed {seed}, step {step}"
        try:
            process._system_call()
        except Exception as error:
            raise AssertionError(call) from error
        assert state.gpr[7] in (0, 1), call


main(int(sys.argv[1]), int(sys.argv[2]))
