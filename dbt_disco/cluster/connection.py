"""One client of the control socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any, Final

from dbt_disco.cluster.commands import Commands
from dbt_disco.cluster.member import Member
from dbt_disco.cluster.protocol import (
    LONGEST_LINE,
    ErrorClass,
    ProtocolError,
    error,
    event,
    line,
    packed,
)

_log: Final = logging.getLogger("dbt_disco.cluster")
_READ_SIZE: Final = 1 << 16
_BACKLOG: Final = 1 << 20
"""Bytes that may wait for a client that does not read; events beyond that are lost, and counted."""
_CONSOLE_PART: Final = 1 << 15


class Connection:
    """On the event loop's thread."""

    def __init__(
        self, commands: Commands, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._commands = commands
        self._reader = reader
        self._writer = writer
        self._lost = 0
        self._subscriptions: dict[str, int] = {}
        """Consoles → up to where they have been sent."""

    async def serve(self, greeting: dict[str, Any]) -> None:
        """Answer commands until the client goes."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(line(greeting))
            async for text in self._lines():
                reply = (
                    error(ErrorClass.SYNTAX, f"a line is at most {LONGEST_LINE} bytes long")
                    if text is None
                    else await self._answer(text)
                )
                if reply is not None:
                    self._writer.write(line(reply))
                    await self._writer.drain()

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    # Events.

    def tell(self, message: dict[str, Any]) -> None:
        """Send an event, if the client keeps up."""
        if self._writer.transport.get_write_buffer_size() > _BACKLOG:
            self._lost += 1
            return
        if self._lost:
            self._writer.write(line(event("EVENTS_LOST", {"count": self._lost})))
            self._lost = 0
        self._writer.write(line(message))

    def subscribe(self, member: Member, *, from_start: bool) -> None:
        """Send the member's output from now on, or from the oldest on that is kept."""
        self._subscriptions[member.name] = 0 if from_start else member.console.read(1 << 62)[1]
        self.console_changed(member)

    def unsubscribe(self, member: Member) -> None:
        """Send no more of it."""
        self._subscriptions.pop(member.name, None)

    def is_subscribed(self, member: Member) -> bool:
        """Whether its output is to be sent."""
        return member.name in self._subscriptions

    def console_changed(self, member: Member) -> None:
        """Send the output that has come since the last time."""
        position = self._subscriptions.get(member.name)
        if position is None:
            return
        data, self._subscriptions[member.name] = member.console.read(position)
        for at in range(0, len(data), _CONSOLE_PART):
            self.tell(event("CONSOLE", {"vm": member.name, "data": packed(data[at : at + _CONSOLE_PART])}))

    # Commands.

    async def _lines(self) -> Any:
        """Lines without their ends; None for one that is too long."""
        waiting = b""
        skipping = False
        while data := await self._reader.read(_READ_SIZE):
            *whole, waiting = (waiting + data).split(b"\n")
            for text in whole:
                if not skipping and len(text) <= LONGEST_LINE:
                    yield text
                elif not skipping:
                    yield None
                skipping = False
            if len(waiting) > LONGEST_LINE:
                if not skipping:
                    yield None
                skipping, waiting = True, b""

    async def _answer(self, text: bytes) -> dict[str, Any] | None:
        identity: dict[str, Any] = {}
        if not text.strip():
            return None
        try:
            command = _parsed(text)
            if "id" in command:
                identity = {"id": command["id"]}
            result = await self._commands.execute(self, command["execute"], command.get("arguments", {}))
        except ProtocolError as problem:
            return {**error(problem.error_class, str(problem)), **identity}
        except Exception as problem:
            _log.exception("an error in a command")
            description = f"an error in the monitor: {type(problem).__name__}: {problem}"
            return {**error(ErrorClass.FAILED, description), **identity}
        return {"return": result, **identity}


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        command = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ProtocolError(ErrorClass.SYNTAX, f"that is no JSON: {problem}") from problem
    if not isinstance(command, dict) or "execute" not in command:
        raise ProtocolError(ErrorClass.SYNTAX, 'a command is an object with "execute"')
    unknown = command.keys() - {"execute", "arguments", "id"}
    if unknown:
        raise ProtocolError(ErrorClass.SYNTAX, f"a command has no {', '.join(sorted(unknown))}")
    return command
