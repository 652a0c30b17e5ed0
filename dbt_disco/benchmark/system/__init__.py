"""The benchmark of `dbt-disco bench --system`: virtual machines, beside QEMU's system emulator.

A *scenario* (`scenario`) is one thing to be measured: the steps that a repeat is made of, ours and QEMU's in turn, and
the figures that follow from them. There is a file for each; `scenarios` lists them. `launch` knows how the two sides
boot a guest, `guest_process` runs one and reads its console, `session` runs steps, `report` shows figures.
"""
