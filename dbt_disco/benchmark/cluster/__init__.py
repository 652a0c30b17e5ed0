"""The benchmark of `dbt-disco bench --cluster`: many virtual machines on one machine.

There is a file for each scenario; `scenarios` lists them. `cluster_process` runs clusters as users do; only `placement`
looks into one, in this process.
"""
