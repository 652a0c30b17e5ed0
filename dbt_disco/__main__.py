"""`python -m dbt_disco`: the same as the `dbt-disco` command."""

from dbt_disco.command_line import main

if __name__ == "__main__":
    raise SystemExit(main())
