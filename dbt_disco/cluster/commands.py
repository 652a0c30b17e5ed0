"""The commands of the control socket: what each takes, and what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.member import Member, MemberState
from dbt_disco.cluster.memory_report import memory_report
from dbt_disco.cluster.protocol import ErrorClass, ProtocolError, packed, unpacked
from dbt_disco.cluster.shutdown import shut_down
from dbt_disco.cluster.statistics import cluster_statistics, member_summary

if TYPE_CHECKING:
    from dbt_disco.cluster.connection import Connection

Arguments = dict[str, Any]
Command = Callable[["Commands", "Connection", Arguments], Awaitable[Any]]


class Commands:
    """Carries out commands, on the event loop; what takes time is left to the cluster's keeper."""

    def __init__(self, cluster: Cluster, go_down: Callable[[], None]) -> None:
        """`go_down` begins the cluster's end."""
        self.cluster: Final = cluster
        self._go_down = go_down

    async def execute(self, connection: Connection, name: Any, arguments: Any) -> Any:
        """The command's result; ProtocolError if there is none."""
        known = COMMANDS.get(name) if isinstance(name, str) else None
        if known is None:
            raise ProtocolError(ErrorClass.COMMAND_NOT_FOUND, f"there is no command {name!r}")
        command, parameters = known
        if not isinstance(arguments, dict):
            raise ProtocolError(ErrorClass.INVALID_ARGUMENTS, "arguments are an object")
        for given in arguments:
            if given not in parameters:
                raise ProtocolError(ErrorClass.INVALID_ARGUMENTS, f"{name} takes no argument {given!r}")
        for parameter, kind in parameters.items():
            value = arguments.get(parameter)
            if not isinstance(value, kind):
                raise ProtocolError(
                    ErrorClass.INVALID_ARGUMENTS, f"{name} needs {parameter!r}, of type {kind.__name__}"
                )
        return await command(self, connection, arguments)

    # What they do.

    async def _query_commands(self, _: Connection, __: Arguments) -> Any:
        return [
            {"name": name, "arguments": {parameter: kind.__name__ for parameter, kind in parameters.items()}}
            for name, (_, parameters) in COMMANDS.items()
        ]

    async def _query_vms(self, _: Connection, __: Arguments) -> Any:
        return [member_summary(member) for member in self.cluster.members.values()]

    async def _query_statistics(self, _: Connection, __: Arguments) -> Any:
        return await asyncio.to_thread(cluster_statistics, self.cluster)

    async def _query_memory(self, _: Connection, arguments: Arguments) -> Any:
        try:
            parts = [(str(name), int(first), int(last)) for name, first, last in arguments["parts"]]
        except (TypeError, ValueError) as error:
            raise ProtocolError(
                ErrorClass.INVALID_ARGUMENTS, f"parts are lists of name, first and last address: {error}"
            ) from error
        return await self._do(memory_report, self.cluster, parts)

    async def _vm_start(self, _: Connection, arguments: Arguments) -> Any:
        member = self._member(arguments)
        if member.state.is_alive:
            raise _invalid(member, "it runs already")
        await self._do(self.cluster.start_member, member)
        if member.state is MemberState.FAILED:
            raise ProtocolError(ErrorClass.FAILED, member.reason)
        return {}

    async def _vm_stop(self, _: Connection, arguments: Arguments) -> Any:
        member = self._running(arguments)
        await asyncio.to_thread(shut_down, self.cluster, [member], "stopped by command")
        return {}

    async def _vm_kill(self, _: Connection, arguments: Arguments) -> Any:
        member = self._running(arguments)
        await self._do(member.kill, "killed by command")
        await asyncio.to_thread(member.has_ended.wait)
        return {}

    def _running(self, arguments: Arguments) -> Member:
        member = self._member(arguments)
        if not member.state.is_alive and member.state is not MemberState.RESTARTING:
            raise _invalid(member, "it does not run")
        return member

    async def _vm_pause(self, _: Connection, arguments: Arguments) -> Any:
        member = self._member(arguments)
        if not await self._do(member.pause):
            raise _invalid(member, "it does not run")
        return {}

    async def _vm_continue(self, _: Connection, arguments: Arguments) -> Any:
        member = self._member(arguments)
        if not await self._do(member.resume):
            raise _invalid(member, "it is not paused")
        return {}

    async def _console_subscribe(self, connection: Connection, arguments: Arguments) -> Any:
        member = self._member(arguments)
        connection.subscribe(member, from_start=arguments["history"])
        return {"state": member.state.value}

    async def _console_unsubscribe(self, connection: Connection, arguments: Arguments) -> Any:
        connection.unsubscribe(self._member(arguments))
        return {}

    async def _console_input(self, _: Connection, arguments: Arguments) -> Any:
        member = self._member(arguments)
        try:
            data = unpacked(arguments["data"])
        except ValueError as error:
            raise ProtocolError(ErrorClass.INVALID_ARGUMENTS, f"data is no base64: {error}") from error
        return {"taken": member.console.type(data)}

    async def _console_lines(self, _: Connection, arguments: Arguments) -> Any:
        lines = self._member(arguments).console.lines()
        return [{"time": when, "data": packed(data)} for when, data in lines]

    async def _audit(self, _: Connection, __: Arguments) -> Any:
        return {"disagreements": await self._do(self.cluster.audit)}

    async def _down(self, _: Connection, __: Arguments) -> Any:
        self._go_down()
        return {}

    def _member(self, arguments: Arguments) -> Member:
        name = arguments["vm"]
        member = self.cluster.members.get(name)
        if member is None:
            there = ", ".join(self.cluster.members)
            raise ProtocolError(
                ErrorClass.VM_NOT_FOUND, f"there is no virtual machine {name!r}; there are: {there}"
            )
        return member

    async def _do(self, action: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.wrap_future(self.cluster.do(action, *arguments))


def _invalid(member: Member, reason: str) -> ProtocolError:
    return ProtocolError(ErrorClass.INVALID_STATE, f"{member.name} is {member.state.value}: {reason}")


_VM: Final[dict[str, type]] = {"vm": str}
COMMANDS: Final[dict[str, tuple[Command, dict[str, type]]]] = {
    "query-commands": (Commands._query_commands, {}),
    "query-vms": (Commands._query_vms, {}),
    "query-statistics": (Commands._query_statistics, {}),
    "query-memory": (Commands._query_memory, {"parts": list}),
    "vm-start": (Commands._vm_start, _VM),
    "vm-stop": (Commands._vm_stop, _VM),
    "vm-kill": (Commands._vm_kill, _VM),
    "vm-pause": (Commands._vm_pause, _VM),
    "vm-continue": (Commands._vm_continue, _VM),
    "console-subscribe": (Commands._console_subscribe, {**_VM, "history": bool}),
    "console-unsubscribe": (Commands._console_unsubscribe, _VM),
    "console-input": (Commands._console_input, {**_VM, "data": str}),
    "console-lines": (Commands._console_lines, _VM),
    "audit": (Commands._audit, {}),
    "down": (Commands._down, {}),
}
"""Command → what does it, and its arguments, all of which must be given."""
