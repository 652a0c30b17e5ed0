"""The policy that decides by default: pages of every kind, and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from runtime.system.placement_policy import (
    DEFAULT_POLICY,
    Decision,
    HotPages,
    Migrate,
    PageUse,
    Replicate,
    load_policy,
)


def decided(
    reads: Sequence[int],
    writes: Sequence[int] | None = None,
    *,
    node: int = 0,
    moves: int = 0,
    is_shared: bool = False,
    may_be_stored_to: bool = True,
    has_code: bool = False,
) -> Decision:
    none = (0,) * len(reads)
    use = PageUse(node, tuple(reads), tuple(writes or none), moves, is_shared, may_be_stored_to, has_code)
    return HotPages().decide(use)


def test_a_page_that_one_other_node_uses_goes_there() -> None:
    assert decided((0, 5, 0)) == Migrate(1)
    assert decided((0, 0, 2), (0, 0, 3)) == Migrate(2)
    assert decided((5, 0, 0), node=2) == Migrate(0)
    assert decided((1, 40, 9)) == Migrate(1), "who uses it now and then does not count"


def test_a_page_that_is_cold_or_where_it_should_be_stays() -> None:
    assert decided((0, 1, 1)) is None
    assert decided((200, 0, 0), (100, 0, 0)) is None
    assert decided((200, 3, 0)) is None
    assert decided((9,)) is None


def test_what_a_cache_has_is_replicated_where_it_is_read() -> None:
    assert decided((0, 5, 0), is_shared=True, may_be_stored_to=False) == Replicate((1,))
    assert decided((6, 5, 7), is_shared=True, may_be_stored_to=False) == Replicate((1, 2))
    assert decided((6, 5, 7), node=1, may_be_stored_to=False) == Replicate((0, 2))


def test_what_several_nodes_use_and_some_store_to_stays() -> None:
    assert decided((6, 6, 0), (1, 0, 0)) is None
    assert decided((6, 6, 0), (1, 0, 0), may_be_stored_to=False) is None, "it was stored to, if not lately"
    assert decided((6, 6, 0)) is None, "nobody has stored to it yet, but somebody may"
    assert decided((0, 6, 0), is_shared=True) is None, "it can do neither"


@pytest.mark.parametrize("has_code", [False, True])
def test_moves_are_limited(has_code: bool) -> None:
    uses = 200
    most = HotPages.most_moves_with_code if has_code else HotPages.most_moves
    assert decided((0, uses), moves=most - 1, has_code=has_code) == Migrate(1)
    assert decided((0, uses), moves=most, has_code=has_code) is None
    assert decided((0, uses), moves=most, has_code=has_code, may_be_stored_to=False) is None


def test_pages_with_code_must_be_hotter() -> None:
    assert HotPages.most_moves_with_code < HotPages.most_moves
    assert decided((0, HotPages.trigger), has_code=True) is None
    assert decided((0, HotPages.code_trigger), has_code=True) == Migrate(1)


def test_it_is_what_is_meant_by_default() -> None:
    assert isinstance(load_policy(DEFAULT_POLICY), HotPages)
    assert load_policy("none") is None
