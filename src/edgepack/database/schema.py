"""The tables, declared once; migrations must lead to exactly this (a test replays them and compares).

Times are integers, microseconds since the epoch: they sort, index and compare the same on both databases.
A job's Describe answer is stored ready to send, in a table of its own: the list queries then walk narrow rows, and
Describe is one read. Both are only ever written together (`edge_packaging_jobs.py`, `compilation_jobs.py`).
Beside what is declared here, a migration makes the trigrams of the jobs' names, which each database has in its own way
(`narrowing.py`).
"""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

JobId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite only autoincrements a column declared INTEGER."""

SortedName = sa.String(63).with_variant(sa.String(63, collation="C"), "postgresql")
"""Sorts by its bytes, as on SQLite, whatever the collation that the PostgreSQL database was created with."""

FINAL_STATUSES = ("COMPLETED", "FAILED", "STOPPED")
"""Of jobs that have ended. Told once more here: a partial index is part of the schema (`jobs/lifecycle.py`)."""


def is_active(status: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """A condition: a job's status is that of one that has not ended; in the words of the index, so that it is used.

    By the statuses that it is not: for those that it is, SQLite would take an index by status, and sort.
    """
    return status.not_in([sa.literal_column(f"'{each}'") for each in FINAL_STATUSES])


def _active_index(table: str) -> sa.Index:
    """The few active jobs among very many."""
    condition = is_active(sa.column("status", sa.String))
    return sa.Index(f"ix_{table}_active", "id", sqlite_where=condition, postgresql_where=condition)


access_keys = sa.Table(
    "access_keys",
    metadata,
    sa.Column("access_key_id", sa.String(128), primary_key=True),
    sa.Column("account_id", sa.String(12), nullable=False),
    sa.Column("principal_arn", sa.String(2048), nullable=False),
    sa.Column("principal_id", sa.String(128), nullable=False),
    sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
    sa.Column("token_sha256", sa.LargeBinary),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Index(None, "account_id"),
    sa.Index(None, "expires_at"),
)

edge_packaging_jobs = sa.Table(
    "edge_packaging_jobs",
    metadata,
    sa.Column("id", JobId, primary_key=True, autoincrement=True),
    sa.Column("account_id", sa.String(12), nullable=False),
    sa.Column("name", SortedName, nullable=False),
    sa.Column("arn", sa.String(1600), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("status_message", sa.Text, nullable=False),
    sa.Column("compilation_job_name", sa.String(63), nullable=False),
    sa.Column("compiled_model", sa.LargeBinary, nullable=False),
    sa.Column("model_name", SortedName, nullable=False),
    sa.Column("model_version", sa.String(30), nullable=False),
    sa.Column("role_arn", sa.String(2048), nullable=False),
    sa.Column("output_config", sa.LargeBinary, nullable=False),
    sa.Column("resource_key", sa.String(2048)),
    sa.Column("output_bucket", sa.String(255), nullable=False),
    sa.Column("output_key", sa.String(1200), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("modified_at", sa.BigInteger, nullable=False),
    sa.Column("workflow_id", sa.String(64), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="1"),
    sa.Column("deaths", sa.Integer, nullable=False, server_default="0"),
    sa.Column("turn", sa.Integer, nullable=False, server_default="1"),
    sa.Column("source_fingerprint", sa.String(64)),
    sa.Index(None, "account_id", "name", unique=True),
    sa.Index(None, "account_id", "created_at", "id"),
    sa.Index(None, "account_id", "modified_at", "id"),
    sa.Index(None, "account_id", "model_name", "id"),
    sa.Index(None, "account_id", "source_fingerprint"),
    sa.Index(None, "account_id", "status", "id"),
    sa.Index(None, "account_id", "status", "created_at", "id"),
    sa.Index(None, "account_id", "status", "modified_at", "id"),
    sa.Index(None, "account_id", "status", "model_name", "id"),
    sa.Index(None, "account_id", "status", "name", "id"),
    sa.Index(None, "status", "turn"),
    sa.Index(None, "workflow_id", unique=True),
    _active_index("edge_packaging_jobs"),
)

edge_packaging_job_answers = sa.Table(
    "edge_packaging_job_answers",
    metadata,
    sa.Column("job_id", JobId, sa.ForeignKey("edge_packaging_jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("describe", sa.LargeBinary, nullable=False),
)

compilation_jobs = sa.Table(
    "compilation_jobs",
    metadata,
    sa.Column("id", JobId, primary_key=True, autoincrement=True),
    sa.Column("account_id", sa.String(12), nullable=False),
    sa.Column("name", SortedName, nullable=False),
    sa.Column("arn", sa.String(256), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("failure_reason", sa.Text, nullable=False, server_default=""),
    sa.Column("request", sa.LargeBinary, nullable=False),
    sa.Column("artifact_uri", sa.String(2048), nullable=False, server_default=""),
    sa.Column("artifact_digest", sa.String(160)),
    sa.Column("artifact_etag", sa.String(256)),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("modified_at", sa.BigInteger, nullable=False),
    sa.Column("started_at", sa.BigInteger),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("workflow_id", sa.String(64), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="1"),
    sa.Column("deaths", sa.Integer, nullable=False, server_default="0"),
    sa.Column("turn", sa.Integer, nullable=False, server_default="1"),
    sa.Index(None, "account_id", "name", unique=True),
    sa.Index(None, "account_id", "created_at", "id"),
    sa.Index(None, "account_id", "modified_at", "id"),
    sa.Index(None, "account_id", "status", "id"),
    sa.Index(None, "account_id", "status", "created_at", "id"),
    sa.Index(None, "account_id", "status", "modified_at", "id"),
    sa.Index(None, "account_id", "status", "name", "id"),
    sa.Index(None, "status", "turn"),
    sa.Index(None, "workflow_id", unique=True),
    _active_index("compilation_jobs"),
)

compilation_job_answers = sa.Table(
    "compilation_job_answers",
    metadata,
    sa.Column("job_id", JobId, sa.ForeignKey("compilation_jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("describe", sa.LargeBinary, nullable=False),
)

component_versions = sa.Table(
    "component_versions",
    metadata,
    sa.Column("arn", sa.String(2048), primary_key=True),
    sa.Column("account_id", sa.String(12), nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("recipe", sa.LargeBinary, nullable=False),
    sa.Column("source_arn", sa.String(1600), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Index(None, "account_id", "name", "version"),  # not unique: each region has components of its own
)

tags = sa.Table(
    "tags",
    metadata,
    sa.Column("resource_arn", sa.String(1600), primary_key=True),
    sa.Column("key", sa.String(128), primary_key=True),
    sa.Column("value", sa.String(256), nullable=False),
)

outputs = sa.Table(
    "outputs",
    metadata,
    sa.Column("place", sa.String(1500), primary_key=True),
    sa.Column("writer_arn", sa.String(1600)),
    sa.Column("holder_arn", sa.String(1600)),
    sa.Index(None, "writer_arn"),
)

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("upload_id", sa.String(1024), primary_key=True),
    sa.Column("owner_arn", sa.String(1600), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("bucket", sa.String(255), nullable=False),
    sa.Column("key", sa.String(1200), nullable=False),
    sa.Index(None, "owner_arn"),
)

leftovers = sa.Table(
    "leftovers",
    metadata,
    sa.Column("owner_arn", sa.String(1600), primary_key=True),
    sa.Column("owner_created_at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("bucket", sa.String(255), nullable=False),
    sa.Column("key", sa.String(1200), nullable=False),
    sa.Column("noted_at", sa.BigInteger, nullable=False),
)

executors = sa.Table(
    "executors",
    metadata,
    sa.Column("executor_id", sa.String(255), primary_key=True),
    sa.Column("heartbeat_at", sa.BigInteger, nullable=False),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("holder", sa.String(255), nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)
