"""All scenarios, in the order in which they are run."""

from __future__ import annotations

from typing import Final

from dbt_disco.benchmark.cluster.cached_reads import CachedReads
from dbt_disco.benchmark.cluster.debian_machines import DebianMachines
from dbt_disco.benchmark.cluster.top_beside import TopBeside
from dbt_disco.benchmark.cluster.two_processors import TwoProcessors
from dbt_disco.benchmark.cluster.wrong_nodes import WrongNodes
from dbt_disco.benchmark.scenarios.kind import Kind

_PROGRAM: Final = "mandelbrot"
"""It needs little of what two processors share: caches, memory."""

CLUSTER: Final = Kind(
    title="dbt-disco bench --cluster",
    scenarios={
        scenario.key: scenario
        for scenario in (DebianMachines, WrongNodes, CachedReads, TwoProcessors, TopBeside)
    },
    sides=(),
    notes=(
        "Debian virtual machines: one run, started one after the other in an empty cache (but for the engine's own "
        "code and the unpacked kernel), each runs the same script; all else: medians of {repeats}",
        "they see: physical pages touched and not reported free; held: machine pages allocated",
        "processor time, in the last column: of all the cluster's processes, user and system",
    ),
    tools=("cc",),
    programs=(_PROGRAM,),
    quick_programs=(_PROGRAM,),
    quick_scale="half",
)
