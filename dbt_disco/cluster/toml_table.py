"""Values of a TOML file, each fetched with what it must be; what is wrong is said with file, line and field."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NoReturn

from dbt_disco.command_error import CommandError

_UNITS: Final = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_KINDS: Final = {
    bool: "true or false",
    int: "a whole number",
    float: "a number with a fraction",
    str: "a text in quotes",
    list: "a list",
    dict: "a table",
}


class ConfigurationError(CommandError):
    """The file does not describe a cluster. The message begins with `FILE:LINE:`."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 2)


class Document:
    """A TOML file."""

    def __init__(self, path: Path) -> None:
        """ConfigurationError if it cannot be read, or is no TOML."""
        self.path: Final = path
        try:
            self._text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{path}: not UTF-8 text, so no TOML file") from error
        try:
            self.root: Final = Table(self, (), tomllib.loads(self._text))
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{path}: not a TOML file: {error}") from error

    def fail(self, path: tuple[str, ...], reason: str) -> NoReturn:
        """Say what is wrong with a field, or with what is missing in it."""
        field = ".".join(path)
        raise ConfigurationError(f"{self.path}:{self.line_of(path)}: {field + ': ' if field else ''}{reason}")

    def line_of(self, path: tuple[str, ...]) -> int:
        """The line on which the statement begins that says something about a field first; else of its table.

        No TOML library for Python keeps positions. But the lines up to the end of a statement, and no others, are a
        TOML file by themselves: the first of those that have the field end with its statement.
        """
        lines = self._text.splitlines()
        end_of_last = 0
        for count in range(len(lines) + 1):
            with suppress(tomllib.TOMLDecodeError):
                if _contains(tomllib.loads("\n".join(lines[:count]) + "\n"), path):
                    return end_of_last + 1
                end_of_last = count
        return self.line_of(path[:-1]) if path else 1


def _contains(values: Any, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return bool(path)


class Table:
    """A table of the file. Each method fetches one field, and `close` objects to all others."""

    def __init__(self, document: Document, path: tuple[str, ...], values: Mapping[str, Any]) -> None:
        self.document: Final = document
        self.path: Final = path
        self._values = values
        self._asked: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether there is such a field, which there may be."""
        self._asked.add(name)
        return name in self._values

    def fail(self, name: str, reason: str) -> NoReturn:
        """Say what is wrong with a field."""
        self.document.fail((*self.path, name), reason)

    def close(self) -> None:
        """There are no more fields."""
        for name in self._values:
            if name not in self._asked:
                near = get_close_matches(name, self._asked, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(self._asked))}"
                self.fail(name, f"there is no such field; {hint}")

    def tables(self, name: str) -> dict[str, Table]:
        """The tables in a table, by name."""
        inner = self.table(name)
        for key, value in inner._values.items():
            if not isinstance(value, dict):
                inner.fail(key, f"it is a table, [{name}.{key}], not {_kind(value)}")
        return {key: Table(self.document, (*inner.path, key), value) for key, value in inner._values.items()}

    def table(self, name: str) -> Table:
        """A table, empty if it is not there."""
        return Table(self.document, (*self.path, name), self._fetch(name, dict, {}))

    def text(self, name: str, default: str | None = None) -> str:
        """A text; without a default there must be one."""
        text: str = self._fetch(name, str, default)
        return text

    def integer(self, name: str, default: int, *, least: int, most: int) -> int:
        """A whole number within limits."""
        number: int = self._fetch(name, int, default)
        if not least <= number <= most:
            self.fail(name, f"it is at least {least} and at most {most}, not {number}")
        return number

    def switch(self, name: str, default: bool) -> bool:
        """True or false."""
        value: bool = self._fetch(name, bool, default)
        return value

    def choice(self, name: str, choices: Collection[str], default: str | None = None) -> str:
        """One of some texts."""
        text = self.text(name, default)
        if text not in choices:
            near = get_close_matches(text, choices, 1)
            hint = f"did you mean {near[0]}?" if near else f"it is {' or '.join(choices)}"
            self.fail(name, f"{text!r} is not possible; {hint}")
        return text

    def size(self, name: str, default: str) -> int:
        """Bytes, said as a text with K, M or G, or as a number of MiB."""
        value = self._fetch(name, (str, int), default)
        text = f"{value}M" if isinstance(value, int) else value
        number, unit = text[:-1], _UNITS.get(text[-1:].upper())
        if unit is None or not number.isascii() or not number.isdigit() or not int(number):
            self.fail(name, f'it is a size like "256M", "1G", or a number of MiB, not {value!r}')
        return int(number) * unit

    def file(self, name: str) -> Path:
        """The path of a file, which must be given; a relative one begins where the TOML file is."""
        text = self.text(name)
        if not text or "\0" in text:
            self.fail(name, f"{text!r} is no file's name")
        return self.document.path.parent / Path(text).expanduser()

    def texts(self, name: str) -> list[str] | None:
        """A list of texts; None if it is not there."""
        values: list[Any] | None = self._fetch(name, list, None, optional=True)
        for value in values or ():
            if not isinstance(value, str):
                self.fail(name, f"its entries are texts in quotes, not {_kind(value)}")
        return values

    def _fetch(
        self, name: str, kind: type | tuple[type, ...], default: Any, *, optional: bool = False
    ) -> Any:
        self._asked.add(name)
        if name not in self._values:
            if default is None and not optional:
                self.fail(name, "it is missing")
            return default
        value = self._values[name]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if type(value) not in kinds:
            self.fail(name, f"it is {' or '.join(_KINDS[each] for each in kinds)}, not {_kind(value)}")
        return value


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a date or time")
