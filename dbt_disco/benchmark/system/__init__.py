"""The benchmark of `dbt-disco bench --system`: virtual machines, beside QEMU's system emulator.

There is a file for each scenario; `scenarios` lists them. Ours and QEMU's are run in turn; `launch` knows how the two
sides boot a guest.
"""
