"""Which packages the Debian guest is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

SUITE: Final = "bookworm"
"""Debian 12, the last release with this architecture."""

ARCHITECTURE: Final = "mipsel"

KERNEL_PREFIX: Final = "linux-image-6.1.0-"
GENERIC_FLAVOUR: Final = "mips32r2el"
"""The kernel for any MIPS32 machine that has a device tree: the guest's."""
MALTA_FLAVOUR: Final = "4kc-malta"
"""The kernel for MIPS's Malta board, which QEMU has, too."""

BUSYBOX: Final = "busybox-static"

USER_LAND: Final = (
    *("base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "diffutils", "findutils"),
    *("grep", "gzip", "hostname", "iproute2", "iputils-ping", "libc-bin", "mount", "ncurses-base"),
    *("ncurses-bin", "perl-base", "procps", "python3-minimal", "sed", "tar", "util-linux"),
)
"""What a person finds on the root disk."""

DEPENDENCIES: Final = (
    *("debconf", "dpkg", "gcc-12-base", "init-system-helpers", "libacl1", "libatomic1", "libattr1"),
    *("libaudit-common", "libaudit1", "libblkid1", "libbpf1", "libbsd0", "libbz2-1.0", "libc6"),
    *("libcap-ng0", "libcap2", "libcap2-bin", "libcom-err2", "libcrypt1", "libdb5.3"),
    *("libdebconfclient0", "libelf1", "libexpat1", "libgcc-s1", "libgcrypt20", "libgmp10"),
    *("libgpg-error0", "libgssapi-krb5-2", "libidn2-0", "libk5crypto3", "libkeyutils1", "libkrb5-3"),
    *("libkrb5support0", "liblz4-1", "liblzma5", "libmd0", "libmnl0", "libmount1", "libncursesw6"),
    *("libpam0g", "libpcre2-8-0", "libproc2-0", "libpython3.11-minimal", "libselinux1", "libsmartcols1"),
    *("libssl3", "libsystemd0", "libtinfo6", "libtirpc-common", "libtirpc3", "libudev1", "libunistring2"),
    *("libuuid1", "libxtables12", "libzstd1", "mawk", "python3.11-minimal", "util-linux-extra", "zlib1g"),
)
"""What `BUSYBOX` and `USER_LAND` depend on in `SUITE`, for those who have to download without apt."""

NOT_IN_GUEST: Final = ("initramfs-tools", "kmod", "linux-base", "usr-is-merged")
"""What packages depend on to install themselves: making an initramfs and merging /usr are ours to do."""


def newest_kernel(names: Iterable[str], flavour: str = GENERIC_FLAVOUR) -> str | None:
    """The kernel package of a flavour with the highest number among package names; None if there is none."""
    pattern = re.compile(rf"{re.escape(KERNEL_PREFIX)}(\d+)-{re.escape(flavour)}")
    numbered = [(int(match[1]), name) for name in names if (match := pattern.fullmatch(name))]
    return max(numbered)[1] if numbered else None
