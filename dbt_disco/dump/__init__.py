"""`dbt-disco dump`: guest code and what it is translated to, stage by stage, line by line."""
