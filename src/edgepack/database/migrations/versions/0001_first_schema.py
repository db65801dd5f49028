"""The first schema: jobs with their answers, components, tags, access keys, outputs, worker heartbeats.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "access_keys",
        sa.Column("access_key_id", sa.String(length=128), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("principal_arn", sa.String(length=2048), nullable=False),
        sa.Column("principal_id", sa.String(length=128), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("access_key_id", name=op.f("pk_access_keys")),
    )
    op.create_index(op.f("ix_access_keys_account_id"), "access_keys", ["account_id"], unique=False)
    op.create_index(op.f("ix_access_keys_expires_at"), "access_keys", ["expires_at"], unique=False)
    op.create_table(
        "compilation_jobs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("arn", sa.String(length=256), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("failure_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("artifact_uri", sa.String(length=2048), server_default="", nullable=False),
        sa.Column("artifact_digest", sa.String(length=160), nullable=True),
        sa.Column("artifact_etag", sa.String(length=256), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("workflow_id", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="1", nullable=False),
        sa.Column("deaths", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compilation_jobs")),
    )
    op.create_index(
        op.f("ix_compilation_jobs_account_id_created_at"),
        "compilation_jobs",
        ["account_id", "created_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_compilation_jobs_account_id_modified_at"),
        "compilation_jobs",
        ["account_id", "modified_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_compilation_jobs_account_id_name"), "compilation_jobs", ["account_id", "name"], unique=True
    )
    op.create_index(
        op.f("ix_compilation_jobs_account_id_status"), "compilation_jobs", ["account_id", "status"], unique=False
    )
    op.create_index(op.f("ix_compilation_jobs_workflow_id"), "compilation_jobs", ["workflow_id"], unique=True)
    op.create_table(
        "component_versions",
        sa.Column("arn", sa.String(length=2048), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("recipe", sa.LargeBinary(), nullable=False),
        sa.Column("source_arn", sa.String(length=1600), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("arn", name=op.f("pk_component_versions")),
    )
    op.create_index(
        op.f("ix_component_versions_account_id_name_version"),
        "component_versions",
        ["account_id", "name", "version"],
        unique=False,
    )
    op.create_table(
        "edge_packaging_jobs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("arn", sa.String(length=1600), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_message", sa.Text(), nullable=False),
        sa.Column("compilation_job_name", sa.String(length=63), nullable=False),
        sa.Column("compiled_model", sa.LargeBinary(), nullable=False),
        sa.Column("model_name", sa.String(length=63), nullable=False),
        sa.Column("model_version", sa.String(length=30), nullable=False),
        sa.Column("role_arn", sa.String(length=2048), nullable=False),
        sa.Column("output_config", sa.LargeBinary(), nullable=False),
        sa.Column("resource_key", sa.String(length=2048), nullable=True),
        sa.Column("output_bucket", sa.String(length=255), nullable=False),
        sa.Column("output_key", sa.String(length=1200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("workflow_id", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="1", nullable=False),
        sa.Column("deaths", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edge_packaging_jobs")),
    )
    op.create_index(
        op.f("ix_edge_packaging_jobs_account_id_created_at"),
        "edge_packaging_jobs",
        ["account_id", "created_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_edge_packaging_jobs_account_id_model_name"),
        "edge_packaging_jobs",
        ["account_id", "model_name"],
        unique=False,
    )
    op.create_index(
        op.f("ix_edge_packaging_jobs_account_id_modified_at"),
        "edge_packaging_jobs",
        ["account_id", "modified_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_edge_packaging_jobs_account_id_name"), "edge_packaging_jobs", ["account_id", "name"], unique=True
    )
    op.create_index(
        op.f("ix_edge_packaging_jobs_account_id_status"), "edge_packaging_jobs", ["account_id", "status"], unique=False
    )
    op.create_index(op.f("ix_edge_packaging_jobs_workflow_id"), "edge_packaging_jobs", ["workflow_id"], unique=True)
    op.create_table(
        "executors",
        sa.Column("executor_id", sa.String(length=255), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("executor_id", name=op.f("pk_executors")),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "tags",
        sa.Column("resource_arn", sa.String(length=1600), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("value", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("resource_arn", "key", name=op.f("pk_tags")),
    )
    op.create_table(
        "outputs",
        sa.Column("place", sa.String(length=1500), nullable=False),
        sa.Column("writer_arn", sa.String(length=1600), nullable=True),
        sa.Column("holder_arn", sa.String(length=1600), nullable=True),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_outputs")),
    )
    op.create_index(op.f("ix_outputs_writer_arn"), "outputs", ["writer_arn"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("upload_id", sa.String(length=1024), nullable=False),
        sa.Column("owner_arn", sa.String(length=1600), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=1200), nullable=False),
        sa.PrimaryKeyConstraint("upload_id", name=op.f("pk_uploads")),
    )
    op.create_index(op.f("ix_uploads_owner_arn"), "uploads", ["owner_arn"], unique=False)
    op.create_table(
        "compilation_job_answers",
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("describe", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["compilation_jobs.id"], name=op.f("fk_compilation_job_answers_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_compilation_job_answers")),
    )
    op.create_table(
        "edge_packaging_job_answers",
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("describe", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["edge_packaging_jobs.id"],
            name=op.f("fk_edge_packaging_job_answers_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_edge_packaging_job_answers")),
    )
