"""Run by alembic with the connection that `store.index.postgres.migrate` gives it."""

from __future__ import annotations

from alembic import context

from store.index.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
