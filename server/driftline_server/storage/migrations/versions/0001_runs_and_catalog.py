"""Runs, traces, scores, and the small tables of the catalog."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# A copy of what ``tables`` held at this version, so that later changes there do not change this step.
_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_id = sa.LargeBinary(16)
_open = sa.text("open_runs > 0")
_sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("create sequence frame_ids")
    _make_runs()
    _make_traces()
    _make_scores()
    _make_catalog()


def _make_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("seq", _sequence, autoincrement=True, nullable=False),
        sa.Column("id", _id, nullable=False),
        sa.Column("trace_id", _id, nullable=False),
        sa.Column("parent_id", _id),
        sa.Column("project", _text, nullable=False),
        sa.Column("name", _text, nullable=False),
        sa.Column("kind", _text, nullable=False),
        sa.Column("status", _text, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("sort_at", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.Double),
        sa.Column("model", _text),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("usage", _text),
        sa.Column("cost_micro_usd", sa.BigInteger),
        sa.Column("first_text_ms", sa.Double),
        sa.Column("error", _text),
        sa.Column("asked", _text),
        sa.Column("answered", _text),
        sa.Column("user_id", _text),
        sa.Column("session_id", _text),
        sa.Column("feature", _text),
        sa.Column("endpoint_class", _text),
        sa.Column("release", _text),
        sa.Column("environment", _text),
        sa.Column("prompt_version", _text),
        sa.Column("tags", _text),
        sa.Column("sampling_weight", sa.Double, nullable=False),
        sa.Column("frame_id", sa.BigInteger, nullable=False),
        sa.Column("position", sa.SmallInteger, nullable=False),
        sa.Column("timeline", _text),
        sa.PrimaryKeyConstraint("seq", name="pk_runs"),
    )
    op.create_index("ix_runs_id", "runs", ["id"], unique=True)
    op.create_index("ix_runs_trace_id", "runs", ["trace_id"])
    op.create_index("ix_runs_sort_at", "runs", ["sort_at", "id"])
    op.create_index("ix_runs_project_sort_at", "runs", ["project", "sort_at", "id"])
    op.create_index("ix_runs_project_name_sort_at", "runs", ["project", "name", "sort_at", "id"])
    op.create_table(
        "frames",
        sa.Column("id", _sequence, autoincrement=False, nullable=False),
        sa.Column("raw_bytes", sa.BigInteger, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_frames"),
    )


def _make_traces() -> None:
    op.create_table(
        "traces",
        sa.Column("trace_id", _id, nullable=False),
        sa.Column("project", _text, nullable=False),
        sa.Column("name", _text, nullable=False),
        sa.Column("status", _text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.Double),
        sa.Column("run_count", sa.Integer, nullable=False),
        sa.Column("error_count", sa.Integer, nullable=False),
        sa.Column("llm_count", sa.Integer, nullable=False),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("usage_missing", sa.Integer, nullable=False),
        sa.Column("cost_micro_usd", sa.BigInteger),
        sa.Column("cost_unknown", sa.Integer, nullable=False),
        sa.Column("first_token_ms", sa.Double),
        sa.Column("user_id", _text),
        sa.Column("session_id", _text),
        sa.Column("feature", _text),
        sa.Column("endpoint_class", _text),
        sa.Column("release", _text),
        sa.Column("environment", _text),
        sa.Column("prompt_version", _text),
        sa.Column("models", _text),
        sa.Column("question", _text),
        sa.Column("answer", _text),
        sa.Column("error", _text),
        sa.Column("lowest_score_name", _text),
        sa.Column("lowest_score", sa.Double),
        sa.Column("segments", _text),
        sa.Column("tags", _text),
        sa.Column("sampling_weight", sa.Double, nullable=False),
        sa.Column("heard_at", sa.BigInteger, nullable=False),
        sa.Column("closed", sa.Boolean, nullable=False),
        sa.Column("open_runs", sa.Integer, nullable=False),
        sa.Column("searchable", _text, nullable=False),
        sa.PrimaryKeyConstraint("trace_id", name="pk_traces"),
    )
    newest = ("started_at", "trace_id")
    op.create_index("ix_traces_started_at", "traces", [*newest])
    op.create_index("ix_traces_project_started_at", "traces", ["project", *newest])
    op.create_index("ix_traces_project_status_started_at", "traces", ["project", "status", *newest])
    op.create_index("ix_traces_project_name_started_at", "traces", ["project", "name", *newest])
    op.create_index("ix_traces_user_id_started_at", "traces", ["user_id", *newest])
    op.create_index("ix_traces_session_id_started_at", "traces", ["session_id", *newest])
    op.create_index("ix_traces_open", "traces", ["heard_at"], sqlite_where=_open, postgresql_where=_open)
    op.create_table(
        "trace_models",
        sa.Column("trace_id", _id, nullable=False),
        sa.Column("model", _text, nullable=False),
        sa.PrimaryKeyConstraint("trace_id", "model", name="pk_trace_models"),
    )
    op.create_index("ix_trace_models_model", "trace_models", ["model", "trace_id"])


def _make_scores() -> None:
    op.create_table(
        "scores",
        sa.Column("id", _id, nullable=False),
        sa.Column("trace_id", _id, nullable=False),
        sa.Column("run_id", _id),
        sa.Column("name", _text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("source", _text, nullable=False),
        sa.Column("sort_at", sa.BigInteger, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scores"),
    )
    op.create_index("ix_scores_trace_id_sort_at", "scores", ["trace_id", "sort_at", "id"])


def _make_catalog() -> None:
    op.create_table(
        "projects",
        sa.Column("name", _text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_projects"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", _text, nullable=False),
        sa.Column("name", _text, nullable=False),
        sa.Column("prefix", _text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_index("ix_api_keys_digest", "api_keys", ["digest"], unique=True)
    op.create_table(
        "users",
        sa.Column("name", _text, nullable=False),
        sa.Column("password_hash", _text, nullable=False),
        sa.Column("role", _text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_users"),
    )
    op.create_table(
        "price_overrides",
        sa.Column("project", _text, nullable=False),
        sa.Column("model", _text, nullable=False),
        sa.Column("valid_from", sa.BigInteger, nullable=False),
        sa.Column("input_micro_usd", sa.BigInteger, nullable=False),
        sa.Column("output_micro_usd", sa.BigInteger, nullable=False),
        sa.Column("cache_read_micro_usd", sa.BigInteger),
        sa.Column("cache_write_micro_usd", sa.BigInteger),
        sa.PrimaryKeyConstraint("project", "model", "valid_from", name="pk_price_overrides"),
    )
    op.create_table(
        "secrets",
        sa.Column("name", _text, nullable=False),
        sa.Column("value", _text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )
