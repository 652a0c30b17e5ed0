"""Options and fixtures of the whole test suite."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.missing import skip_for_lack

# Where a shell started the tests in the background, these are ignored, and guests would inherit that.
for _number, _action in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGTSTP, signal.SIG_DFL),
    (signal.SIGTTIN, signal.SIG_DFL),
    (signal.SIGTTOU, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _action)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("dbt-disco")
    group.addoption(
        "--soak-seconds",
        type=float,
        default=60.0,
        help="how long each test marked soak goes on (with -m soak); default %(default)s",
    )
    group.addoption(
        "--seed",
        type=int,
        default=None,
        help="first seed of randomised tests; default: fixed ones, and the clock for soak tests",
    )


@pytest.fixture
def first_seed(request: pytest.FixtureRequest) -> int:
    """The seed a bounded randomised test starts from: the same in every run unless --seed is given."""
    given = request.config.getoption("--seed")
    return 1 if given is None else int(given)


@pytest.fixture
def soak_seeds(request: pytest.FixtureRequest) -> Iterator[int]:
    """Seeds until --soak-seconds have passed; each is printed, so that a failure shows which one it was."""
    given = request.config.getoption("--seed")
    seed = random.SystemRandom().getrandbits(32) if given is None else int(given)
    end = time.monotonic() + request.config.getoption("--soak-seconds")

    def seeds() -> Iterator[int]:
        following = seed
        while time.monotonic() < end:
            print(f"seed {following}", flush=True)
            yield following
            following += 1

    return seeds()


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Find a host program that the test needs; skip the test where it is not installed, but never in CI."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            skip_for_lack(f"{name} is not installed")
        return path

    return find
