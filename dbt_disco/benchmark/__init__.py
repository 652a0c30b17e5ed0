"""The benchmark of `dbt-disco bench`: a set of guest programs under several engines. (`system` is that of `--system`.)

`program_table` knows the programs, `engines` how each engine runs one, `session` which runs are made, with what
in the cache (`cold_cache`), `measurement` makes one and checks its output, `results` holds the times and what
follows from them, `report` and `plot` show it. The program sources and prebuilt guests are those of the
repository's `guests/`, through two symbolic links here.
"""
