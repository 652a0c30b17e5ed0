"""What `dbt-disco demo` shows, with nothing but this package: our own guest kernel, its disk, and what it reports."""
