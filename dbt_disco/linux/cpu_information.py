"""/proc/cpuinfo, as Linux for MIPS writes it (arch/mips/kernel/proc.c)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_SYSTEM: Final = "system type\t\t: dbt-disco\n"
_PROCESSOR: Final = """\
processor		: {number}
cpu model		: MIPS 24Kc V0.0  FPU V0.0
BogoMIPS		: 320.00
wait instruction	: yes
microsecond timers	: yes
tlb_entries		: 64
extra interrupt vector	: yes
hardware watchpoint	: no
isa			: mips1 mips2 mips32r1 mips32r2
ASEs implemented	:
shadow register sets	: 1
kscratch registers	: 0
package			: 0
core			: {number}
VCED exceptions		: not available
VCEI exceptions		: not available

"""


def cpu_information(process: LinuxProcess) -> bytes:
    """A 24K with FPU for each of the host's processors."""
    processors = (_PROCESSOR.format(number=number) for number in range(os.cpu_count() or 1))
    return (_SYSTEM + "".join(processors)).encode()
