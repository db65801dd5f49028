"""Alembic's entry point: migrations run on the connection that `database.migrate` hands over, in its transaction."""

from alembic import context

from edgepack.database.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
