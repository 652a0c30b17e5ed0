"""Command-line parsing where a guest program and its own arguments may follow our options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn


class ArgumentParser(argparse.ArgumentParser):
    """An argparse parser that reports a usage error in one line and does not guess at abbreviated options."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)
        self._program_required: bool | None = None

    def add_program(self, *, required: bool = True) -> None:
        """Let PROGRAM [ARGS…] follow the options, as `options.program` and `options.arguments`.

        The first word that is no option is PROGRAM; all behind it belongs to the guest, dashes or not.
        """
        self._program_required = required
        self.usage = f"{self.prog} [OPTIONS] PROGRAM [ARGS…]"

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """As argparse does it; exits with status 2 and one line on a usage error."""
        words = list(args or ())
        if self._program_required is None:
            return super().parse_args(words, namespace)
        at = self._program_index(words)
        options = super().parse_args([word for word in words[:at] if word != "--"], namespace)
        if at == len(words) and self._program_required:
            self.error("no PROGRAM given")
        options.program = words[at] if at < len(words) else None
        options.arguments = words[at + 1 :]
        return options

    def _program_index(self, words: list[str]) -> int:
        """The index of the first word that is neither an option nor an option's value."""
        at = 0
        while at < len(words):
            word = words[at]
            if word == "--":
                return at + 1
            if not word.startswith("-") or word == "-":
                return at
            action = self._option_string_actions.get(word)
            at += 1 + (action is not None and action.nargs is None)
        return len(words)

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"dbt-disco: {message}; see `{self.prog} --help`\n")
