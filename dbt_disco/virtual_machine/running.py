"""A virtual machine that runs on a thread of its own, for programs that watch or talk to it."""

from __future__ import annotations

import threading
from types import TracebackType

from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.console.scripted_console import ScriptedConsole
from dbt_disco.virtual_machine.machine import Machine
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine


class RunningVirtualMachine:
    """Starts with `start`, or as a context manager, which stops it at the end.

    with RunningVirtualMachine(Configuration(kernel, initrd=initrd, command_line="console=ttyS0")) as guest:
        guest.console.wait_for("# ", timeout=60)
        guest.console.send("uname -r\\n")
        print(guest.console.wait_for("# ", timeout=10))
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        console: ScriptedConsole | None = None,
        virtio_console: ScriptedConsole | None = None,
        machine: Machine | None = None,
    ) -> None:
        """Make the virtual machine; raises what `VirtualMachine` does."""
        self.console = console or ScriptedConsole()
        self.virtio_console = virtio_console
        self.virtual_machine = VirtualMachine(
            configuration, self.console, virtio_console=virtio_console, machine=machine
        )
        self._outcome: Outcome | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"dbt-disco-{configuration.name}", daemon=True)

    def __enter__(self) -> RunningVirtualMachine:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Let the guest run."""
        self._thread.start()

    def join(self, timeout: float | None = None) -> Outcome:
        """Wait for the end, at most so many seconds (None: for ever); TimeoutError if it does not come.

        Raises what has gone wrong on the virtual machine's thread.
        """
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"the virtual machine has not ended within {timeout:g} seconds")
        if self._error is not None:
            raise self._error
        assert self._outcome is not None
        return self._outcome

    def stop(self) -> None:
        """End the virtual machine, whatever it is doing, and wait until it has."""
        if self._thread.is_alive():
            self.virtual_machine.stop(
                Outcome(Ending.STOPPED, reason="stopped by the program that started it")
            )
            self._thread.join()

    def close(self) -> None:
        """Stop it and give everything back; its console's output stays."""
        self.stop()
        self.virtual_machine.close()
        for console in (self.console, self.virtio_console):
            if console is not None:
                console.close()

    def _run(self) -> None:
        surroundings = self.virtual_machine.surroundings
        try:
            for console in (self.console, self.virtio_console):
                if console is not None:
                    console.start(surroundings)
            self._outcome = self.virtual_machine.run()
        except BaseException as error:
            self._error = error
        finally:
            for console in (self.console, self.virtio_console):
                if console is not None:
                    console.end()
