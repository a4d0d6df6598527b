"""The revisions of the tables on PostgreSQL; applied by `regimed index migrate` and nothing else."""
