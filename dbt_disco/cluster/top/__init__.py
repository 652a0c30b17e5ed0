"""What `dbt-disco top` shows of a running cluster, as plain text and as a full screen."""
