"""Alembic's entry point: migrations run on the connection that `database.migrate` hands over, in its transaction."""

from alembic import context

from edgepack.database.schema import metadata

OUR_VERSION_TABLE = "edgepack_schema_version"
"""The job engine keeps its own tables and versions in the same database."""

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=OUR_VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
