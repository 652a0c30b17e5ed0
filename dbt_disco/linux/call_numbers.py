"""The o32 system calls' names by number (asm/unistd_o32.h)."""

from __future__ import annotations

from typing import Final

FIRST: Final = 4000
"""o32 numbers start here."""

# Rows of names in order of number, each row after its first number; a dash is a number not in use.
_ROWS: Final = """
0 syscall exit fork read write open close waitpid creat link
10 unlink execve chdir time mknod chmod lchown break - lseek
20 getpid mount umount setuid getuid stime ptrace alarm - pause
30 utime stty gtty access nice ftime sync kill rename mkdir
40 rmdir dup pipe times prof brk setgid getgid signal geteuid
50 getegid acct umount2 lock ioctl fcntl mpx setpgid ulimit -
60 umask chroot ustat dup2 getppid getpgrp setsid sigaction sgetmask ssetmask
70 setreuid setregid sigsuspend sigpending sethostname setrlimit getrlimit getrusage gettimeofday
79 settimeofday
80 getgroups setgroups - symlink - readlink uselib swapon reboot readdir
90 mmap munmap truncate ftruncate fchmod fchown getpriority setpriority profil statfs
100 fstatfs ioperm socketcall syslog setitimer getitimer stat lstat fstat -
110 iopl vhangup idle vm86 wait4 swapoff sysinfo ipc fsync sigreturn
120 clone setdomainname uname modify_ldt adjtimex mprotect sigprocmask create_module init_module
129 delete_module
130 get_kernel_syms quotactl getpgid fchdir bdflush sysfs personality afs_syscall setfsuid setfsgid
140 _llseek getdents _newselect flock msync readv writev cacheflush cachectl sysmips
150 - getsid fdatasync _sysctl mlock munlock mlockall munlockall sched_setparam sched_getparam
160 sched_setscheduler sched_getscheduler sched_yield sched_get_priority_max sched_get_priority_min
165 sched_rr_get_interval nanosleep mremap accept bind
170 connect getpeername getsockname getsockopt listen recv recvfrom recvmsg send sendmsg
180 sendto setsockopt shutdown socket socketpair setresuid getresuid query_module poll nfsservctl
190 setresgid getresgid prctl rt_sigreturn rt_sigaction rt_sigprocmask rt_sigpending rt_sigtimedwait
198 rt_sigqueueinfo rt_sigsuspend
200 pread64 pwrite64 chown getcwd capget capset sigaltstack sendfile getpmsg putpmsg
210 mmap2 truncate64 ftruncate64 stat64 lstat64 fstat64 pivot_root mincore madvise getdents64
220 fcntl64 - gettid readahead setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr
230 listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr tkill sendfile64 futex
239 sched_setaffinity
240 sched_getaffinity io_setup io_destroy io_getevents io_submit io_cancel exit_group lookup_dcookie
248 epoll_create epoll_ctl
250 epoll_wait remap_file_pages set_tid_address restart_syscall fadvise64 statfs64 fstatfs64
257 timer_create timer_settime timer_gettime
260 timer_getoverrun timer_delete clock_settime clock_gettime clock_getres clock_nanosleep tgkill
267 utimes mbind get_mempolicy
270 set_mempolicy mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr vserver
278 waitid -
280 add_key request_key keyctl set_thread_area inotify_init inotify_add_watch inotify_rm_watch
287 migrate_pages openat mkdirat
290 mknodat fchownat futimesat fstatat64 unlinkat renameat linkat symlinkat readlinkat fchmodat
300 faccessat pselect6 ppoll unshare splice sync_file_range tee vmsplice move_pages set_robust_list
310 get_robust_list kexec_load getcpu epoll_pwait ioprio_set ioprio_get utimensat signalfd timerfd
319 eventfd
320 fallocate timerfd_create timerfd_gettime timerfd_settime signalfd4 eventfd2 epoll_create1 dup3
328 pipe2 inotify_init1
330 preadv pwritev rt_tgsigqueueinfo perf_event_open accept4 recvmmsg fanotify_init fanotify_mark
338 prlimit64 name_to_handle_at
340 open_by_handle_at clock_adjtime syncfs sendmmsg setns process_vm_readv process_vm_writev kcmp
348 finit_module sched_setattr
350 sched_getattr renameat2 seccomp getrandom memfd_create bpf execveat userfaultfd membarrier
359 mlock2
360 copy_file_range preadv2 pwritev2 pkey_mprotect pkey_alloc pkey_free statx rseq io_pgetevents -
390 - - - semget semctl shmget shmctl shmat shmdt msgget
400 msgsnd msgrcv msgctl clock_gettime64 clock_settime64 clock_adjtime64 clock_getres_time64
407 clock_nanosleep_time64 timer_gettime64 timer_settime64
410 timerfd_gettime64 timerfd_settime64 utimensat_time64 pselect6_time64 ppoll_time64 -
416 io_pgetevents_time64 recvmmsg_time64 mq_timedsend_time64 mq_timedreceive_time64
420 semtimedop_time64 rt_sigtimedwait_time64 futex_time64 sched_rr_get_interval_time64
424 pidfd_send_signal io_uring_setup io_uring_enter io_uring_register open_tree move_mount
430 fsopen fsconfig fsmount fspick pidfd_open clone3 close_range openat2 pidfd_getfd faccessat2
440 process_madvise epoll_pwait2 mount_setattr quotactl_fd landlock_create_ruleset landlock_add_rule
446 landlock_restrict_self - process_mrelease futex_waitv
450 set_mempolicy_home_node
"""


def _names() -> dict[int, str]:
    names = {}
    for row in _ROWS.split("\n"):
        first, *rest = row.split() or ["0"]
        names.update({FIRST + int(first) + i: name for i, name in enumerate(rest) if name != "-"})
    return names


NAMES: Final[dict[int, str]] = _names()
"""System-call number, as in v0, to name."""
