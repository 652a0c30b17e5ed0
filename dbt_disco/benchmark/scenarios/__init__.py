"""What the benchmarks of virtual machines have in common, `bench --system` and `bench --cluster`.

A *scenario* (`scenario`) is one thing to be measured: the steps that a repeat is made of, and the figures that follow
from them. A *kind* (`kind`) is a benchmark: its scenarios, and what is said about its table. `guest_process` runs a
process and reads its console, `session` runs steps, `report` shows figures, `run` is all of that.
"""
