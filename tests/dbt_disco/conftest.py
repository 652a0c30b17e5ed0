"""Fixtures of several of the monitor's tests."""

from __future__ import annotations

import pytest

from dbt_disco.debian.apt import KEYRING, ArchiveSource, host_mirror
from dbt_disco.debian.fetch import fetch_debian
from dbt_disco.debian.guest_files import GuestFiles, default_directory
from dbt_disco.debian.packages import ARCHITECTURE, SUITE
from dbt_disco.debian.progress import show_progress
from tests.missing import skip_for_lack


@pytest.fixture(scope="session")
def debian_source() -> ArchiveSource:
    """Where Debian's packages come from; for slow tests."""
    mirror = host_mirror()
    if mirror is None:
        skip_for_lack("this host's apt knows no Debian mirror")
    return ArchiveSource(mirror, SUITE, KEYRING, ARCHITECTURE)


@pytest.fixture(scope="session")
def debian() -> GuestFiles:
    """The user's own Debian guest, if it is there; tests only read its files."""
    files = GuestFiles(default_directory())
    if files.missing():
        skip_for_lack("the Debian guest is not there (`dbt-disco fetch debian` gets it)")
    return files


@pytest.fixture(scope="session")
def debian_guest(debian_source: ArchiveSource) -> GuestFiles:
    """The user's own Debian guest, fetched if need be; tests only read its files."""
    files = GuestFiles(default_directory())
    if files.missing():
        with show_progress() as progress:
            fetch_debian(files, debian_source, progress)
    return files
