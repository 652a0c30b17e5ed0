"""A Linux program put together with the vCPU that runs it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from dbt_disco.engine import make_vcpu, native_vcpu
from dbt_disco.linux.confinement import import_late_modules
from dbt_disco.linux.host_environment import host_environment
from dbt_disco.linux.load_error import LoadError
from dbt_disco.linux.loader import load_program
from dbt_disco.linux.process import LinuxProcess
from dbt_disco.linux.signal_source import HostSignalSource, SignalSource
from runtime.address_space import AddressSpace
from runtime.host_descriptors import descriptor_reserve
from runtime.host_signals import host_signals

if TYPE_CHECKING:
    from dbt_disco.engine import AnyVcpu
    from dbt_disco.linux.exit_status import ExitStatus
    from dbt_disco.linux.strace import Strace
    from dbt_disco.linux.vcpu import Vcpu as PersonalityVcpu
    from translator.state import CpuState

_LIMITS: Final = {errno.ENOMEM: "-v", errno.EFBIG: "-f", errno.EMFILE: "-n"}
"""Error → the shell's name of the limit that may be the reason."""


class LinuxGuest:
    """A program loaded into an address space of its own, its vCPU, and its process.

    `observer` puts something between vCPU and process: it gets the vCPU and returns what the process is to
    run in its place; `signal_filter` likewise for the source of host signals. Raises `LoadError`, also when the
    host denies the address space.
    """

    def __init__(
        self,
        program: str | bytes,
        arguments: Sequence[str | bytes] = (),
        *,
        environment: Sequence[str | bytes] | None = None,
        sysroot: str | None = None,
        engine: str = "auto",
        strace: Strace | None = None,
        observer: Callable[[AnyVcpu], PersonalityVcpu] | None = None,
        signal_filter: Callable[[SignalSource, CpuState], SignalSource] | None = None,
        use_cache: bool = True,
        **native_options: Any,
    ) -> None:
        try:
            self.space = AddressSpace()
            self.program = load_program(self.space, program, arguments, environment, sysroot)
            self.vcpu = make_vcpu(
                self.space,
                engine,
                big_endian=self.program.big_endian,
                wide_fpu=self.program.wide_fpu,
                use_cache=use_cache,
                **{"program_key": os.path.realpath(program), **native_options},
            )
            signals = host_signals(use_cache=use_cache)
            descriptor_reserve()
        except OSError as error:
            limit = _LIMITS.get(error.errno or 0)
            reason = f"no room for its address space: {error.strerror}; see ulimit {limit}"
            if limit is None:
                reason = f"cannot be loaded: {error.strerror or error}"
            raise LoadError(program, reason) from None
        self.observed = observer(self.vcpu) if observer else self.vcpu
        """What the process runs on: the vCPU, or what the observer has put before it."""
        signal_source: SignalSource = HostSignalSource(signals, self.vcpu.state)
        if signal_filter is not None:
            signal_source = signal_filter(signal_source, self.vcpu.state)
        self.process = LinuxProcess(
            self.observed,
            self.program,
            sysroot=sysroot,
            strace=strace,
            signal_source=signal_source,
            before_confinement=self._prepare_for_confinement,
        )

    def _prepare_for_confinement(self) -> None:
        descriptor_reserve().release()
        import_late_modules()
        native = native_vcpu(self.vcpu)
        if native is not None:
            native.translations.prepare()
        descriptor_reserve().fill()

    def run(self) -> ExitStatus:
        """Run to the end of the process, which gets this process's signals meanwhile."""
        return self.process.run()

    def close(self) -> None:
        """Give everything back to the host."""
        self.vcpu.close()
        self.space.close()


def guest_environment(changes: Sequence[str]) -> list[bytes]:
    """The host's environment with `NAME=value` set and `NAME` alone removed."""
    variables = host_environment()
    for change in changes:
        name, separator, value = os.fsencode(change).partition(b"=")
        if separator:
            variables[name] = value
        else:
            variables.pop(name, None)
    return [name + b"=" + value for name, value in variables.items()]
