"""Where native code lives: the arena, the object loader, the disk cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.access_fixups import AccessFixups
from runtime.code_arena import CodeArena, CodeArenaFull
from runtime.disk_cache import DiskCache
from runtime.object_loader import ObjectError, load_object
from translator.compile import compile_ir

TWO_FUNCTIONS = """
define i32 @double(i32 %x) nounwind { %y = add i32 %x, %x  ret i32 %y }
define i32 @twice(i32 %x) nounwind { %y = call i32 @double(i32 %x)  ret i32 %y }
"""


@pytest.fixture
def arena() -> CodeArena:
    return CodeArena(1 << 20)


def test_freed_neighbours_become_one_stretch(arena: CodeArena) -> None:
    blocks = [arena.allocate(1000) for _ in range(3)]
    assert len(set(blocks)) == 3
    for offset in blocks:
        arena.free(offset, 1000)
    assert arena.used == 0
    assert arena.allocate(arena.precise_start) == 0


def test_a_full_arena_says_so(arena: CodeArena) -> None:
    with pytest.raises(CodeArenaFull):
        arena.allocate(1 << 20)


def test_precise_code_has_its_own_part(arena: CodeArena) -> None:
    assert arena.allocate(64, precise=True) >= arena.precise_start > arena.allocate(64)


def test_no_page_of_the_arena_is_writable_and_executable(arena: CodeArena) -> None:
    arena.write(arena.allocate(64), b"\xc3")
    with open("/proc/self/maps") as maps:
        ours = [line.split()[1] for line in maps if "dbt-disco-code" in line]
    assert "r-xs" in ours
    assert "rw-s" in ours
    assert not any("w" in rights and "x" in rights for rights in ours)


def test_an_object_runs_where_it_is_loaded(arena: CodeArena) -> None:
    import ctypes

    loaded = load_object(compile_ir(TWO_FUNCTIONS).object_code, arena, {})
    twice = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(arena.base + loaded.symbols["twice"])
    assert twice(21) == 42


def test_external_symbols_come_from_objects_loaded_before(arena: CodeArena) -> None:
    import ctypes

    first = load_object(compile_ir(TWO_FUNCTIONS).object_code, arena, {})
    text = "declare i32 @double(i32)\ndefine i32 @go(i32 %x) { %y = call i32 @double(i32 %x) ret i32 %y }"
    second = load_object(compile_ir(text).object_code, arena, first.symbols)
    assert ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(arena.base + second.symbols["go"])(4) == 8
    with pytest.raises(ObjectError, match="undefined symbol double"):
        load_object(compile_ir(text).object_code, arena, {})


LOAD_OR_ELSE = r"""
define i32 @load(ptr %from) nounwind {
  %value = callbr i32 asm "1: movl $1, $0\0A.pushsection .fixups,\22a\22\0A.long 1b-., ${2:l}-.\0A.popsection",
    "=r,*m,!i" (ptr elementtype(i32) %from) to label %done [label %fixup]
done:
  ret i32 %value
fixup:
  ret i32 99
}
"""


def test_accesses_that_may_fault_have_fixups(arena: CodeArena) -> None:
    import ctypes

    arena.allocate(1000)
    loaded = load_object(compile_ir(LOAD_OR_ELSE).object_code, arena, {})
    ((access, fixup),) = loaded.fixups.items()
    load = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int))
    assert load(arena.base + loaded.symbols["load"])(ctypes.c_int(5)) == 5
    assert load(arena.base + fixup)(ctypes.c_int(5)) == 99
    fixups = AccessFixups(arena.capacity)
    fixups.note(loaded.fixups)
    words = (ctypes.c_int32 * (arena.capacity // 2)).from_address(fixups.address)
    assert words[access // 2] == fixup - access
    assert sum(map(bool, words)) == 1
    fixups.forget(loaded.offset, loaded.size)
    assert not any(words)
    fixups.close()


def test_damaged_objects_are_refused(arena: CodeArena) -> None:
    code = compile_ir(TWO_FUNCTIONS).object_code
    before = arena.used
    for damaged in (b"", b"\x7fELF", code[:100], code[: len(code) // 2], b"MZ" + code[2:]):
        with pytest.raises(ObjectError):
            load_object(damaged, arena, {})
    assert arena.used == before


def test_the_disk_cache_ignores_what_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = DiskCache()
    cache.store("a/b", b"contents")
    assert cache.load("a/b") == b"contents"
    (file,) = (path for path in tmp_path.rglob("b") if path.is_file())
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert cache.load("a/b") is None
    file.write_bytes(b"")
    assert cache.load("a/b") is None
    assert cache.load("no such") is None
    assert DiskCache(enabled=False).load("a/b") is None


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dbt-disco").write_text("not a directory")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = DiskCache()
    cache.store("name", b"contents")
    assert cache.load("name") is None
