"""What is to become of a page that other nodes use: policies.

A policy sees what has been sampled of one page and answers. Any class will do that is made without arguments and has
what `Policy` has; a cluster's file names it by its import path, `package.module:Class`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from operator import add
from typing import Final, NamedTuple, Protocol


class PageUse(NamedTuple):
    """A page, and the accesses to it that have been sampled lately."""

    node: int
    """Where it is."""
    reads: tuple[int, ...]
    """By node: loads and fetches."""
    writes: tuple[int, ...]
    """By node: stores."""
    moves: int
    """How often it has moved, or been copied, lately."""
    is_shared: bool
    """A cache has it, too: it can be replicated, but not migrate."""
    may_be_stored_to: bool
    """A virtual machine may store to it: it cannot be replicated."""
    has_code: bool
    """Code of it has been decoded, which would have to be done again."""


@dataclass(frozen=True, slots=True)
class Migrate:
    """The page moves to a node."""

    node: int


@dataclass(frozen=True, slots=True)
class Replicate:
    """Each of these nodes uses a copy of its own."""

    nodes: tuple[int, ...]


Decision = Migrate | Replicate | None
"""None: it stays."""


class Policy(Protocol):
    """Decides, page by page."""

    trigger: int
    """Sampled accesses from other nodes at which a page is looked at; at least 1."""

    def decide(self, page: PageUse) -> Decision: ...


class HotPages:
    """A page that one other node uses migrates there; one that several read is replicated; one that several use, and
    some store to, stays. No page moves more than a few times in a while, and pages with code less often than others.
    """

    trigger = 3
    code_trigger: Final = 6
    most_moves: Final = 4
    most_moves_with_code: Final = 1
    share: Final = 4
    """A node uses a page if it has this part, at least, of the accesses that the node has that uses it most."""

    def decide(self, page: PageUse) -> Decision:
        """See the class."""
        uses = list(map(add, page.reads, page.writes))
        home, uses[page.node] = uses[page.node], 0
        remote = max(uses)
        uses[page.node] = home
        moves, trigger = self.most_moves, self.trigger
        if page.has_code:
            moves, trigger = self.most_moves_with_code, self.code_trigger
        if page.moves >= moves or remote < trigger:
            return None
        most = max(remote, home)
        users = [node for node, use in enumerate(uses) if use * self.share >= most]
        others = [node for node in users if node != page.node]
        if len(users) == 1 and others and not page.is_shared:
            return Migrate(others[0])
        if others and not page.may_be_stored_to and not any(page.writes):
            return Replicate(tuple(others))
        return None


DEFAULT_POLICY: Final = f"{HotPages.__module__}:{HotPages.__name__}"
NO_POLICY: Final = "none"
"""Nothing moves, and nothing is sampled."""


class PolicyError(ValueError):
    """An import path names no policy; the message says why, in one line."""


def load_policy(path: str) -> Policy | None:
    """The policy that an import path names; PolicyError."""
    if path == NO_POLICY:
        return None
    module_name, colon, class_name = path.partition(":")
    if not colon or not module_name or not class_name:
        raise PolicyError(f'it is "package.module:Class", or "{NO_POLICY}", not "{path}"')
    try:
        module = import_module(module_name)
    except Exception as error:  # whatever the module does
        raise PolicyError(f"{module_name} cannot be imported: {_first_line(error)}") from error
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        raise PolicyError(f"{module_name} has no class {class_name}")
    try:
        policy: Policy = found()
    except Exception as error:
        raise PolicyError(f"{class_name} cannot be made without arguments: {_first_line(error)}") from error
    trigger = getattr(policy, "trigger", None)
    if not callable(getattr(policy, "decide", None)) or not isinstance(trigger, int) or trigger < 1:
        raise PolicyError(f"{class_name} is no policy: it needs a method decide and a trigger of at least 1")
    return policy


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
