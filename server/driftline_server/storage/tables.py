"""The tables: narrow rows that lists and charts read, apart from the frames that hold the payloads.

Migrations hold the same as a history; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"}
)
# Compared byte by byte on both engines, so that both sort alike.
_Text = Text().with_variant(Text(collation="C"), "postgresql")
_Id = LargeBinary(16)
_Sequence = BigInteger().with_variant(Integer, "sqlite")
"""SQLite takes a key for its rowid only where the type says INTEGER."""

runs = Table(
    "runs",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", _Id, nullable=False),
    Column("trace_id", _Id, nullable=False),
    Column("parent_id", _Id),
    Column("project", _Text, nullable=False),
    Column("name", _Text, nullable=False),
    Column("kind", _Text, nullable=False),
    Column("status", _Text, nullable=False),
    Column("started_at", BigInteger),
    Column("sort_at", BigInteger, nullable=False),
    Column("duration_ms", Double),
    Column("model", _Text),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("usage", _Text),
    Column("cost_micro_usd", BigInteger),
    Column("first_text_ms", Double),
    Column("error", _Text),
    Column("asked", _Text),
    Column("answered", _Text),
    Column("user_id", _Text),
    Column("session_id", _Text),
    Column("feature", _Text),
    Column("endpoint_class", _Text),
    Column("release", _Text),
    Column("environment", _Text),
    Column("prompt_version", _Text),
    Column("tags", _Text),
    Column("sampling_weight", Double, nullable=False),
    Column("frame_id", BigInteger, nullable=False),
    Column("position", SmallInteger, nullable=False),
    # Last, because it may be long: SQLite then reaches every other column without the overflow pages.
    Column("timeline", _Text),
    Index("ix_runs_id", "id", unique=True),
    Index("ix_runs_trace_id", "trace_id"),
    Index("ix_runs_sort_at", "sort_at", "id"),
    Index("ix_runs_project_sort_at", "project", "sort_at", "id"),
    Index("ix_runs_project_name_sort_at", "project", "name", "sort_at", "id"),
)

frames = Table(
    "frames",
    metadata,
    Column("id", _Sequence, primary_key=True, autoincrement=False),
    Column("raw_bytes", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

traces = Table(
    "traces",
    metadata,
    Column("trace_id", _Id, nullable=False),
    Column("project", _Text, nullable=False),
    Column("name", _Text, nullable=False),
    Column("status", _Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("duration_ms", Double),
    Column("run_count", Integer, nullable=False),
    Column("error_count", Integer, nullable=False),
    Column("llm_count", Integer, nullable=False),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("usage_missing", Integer, nullable=False),
    Column("cost_micro_usd", BigInteger),
    Column("cost_unknown", Integer, nullable=False),
    Column("first_token_ms", Double),
    Column("user_id", _Text),
    Column("session_id", _Text),
    Column("feature", _Text),
    Column("endpoint_class", _Text),
    Column("release", _Text),
    Column("environment", _Text),
    Column("prompt_version", _Text),
    Column("models", _Text),
    Column("question", _Text),
    Column("answer", _Text),
    Column("error", _Text),
    Column("lowest_score_name", _Text),
    Column("lowest_score", Double),
    Column("segments", _Text),
    Column("tags", _Text),
    Column("sampling_weight", Double, nullable=False),
    Column("heard_at", BigInteger, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("open_runs", Integer, nullable=False),
    Column("searchable", _Text, nullable=False),
    PrimaryKeyConstraint("trace_id"),
    Index("ix_traces_started_at", "started_at", "trace_id"),
    Index("ix_traces_project_started_at", "project", "started_at", "trace_id"),
    Index("ix_traces_project_status_started_at", "project", "status", "started_at", "trace_id"),
    Index("ix_traces_project_name_started_at", "project", "name", "started_at", "trace_id"),
    Index("ix_traces_user_id_started_at", "user_id", "started_at", "trace_id"),
    Index("ix_traces_session_id_started_at", "session_id", "started_at", "trace_id"),
    Index(
        "ix_traces_open",
        "heard_at",
        sqlite_where=text("open_runs > 0"),
        postgresql_where=text("open_runs > 0"),
    ),
)

trace_models = Table(
    "trace_models",
    metadata,
    Column("trace_id", _Id, nullable=False),
    Column("model", _Text, nullable=False),
    PrimaryKeyConstraint("trace_id", "model"),
    Index("ix_trace_models_model", "model", "trace_id"),
)

scores = Table(
    "scores",
    metadata,
    Column("id", _Id, nullable=False),
    Column("trace_id", _Id, nullable=False),
    Column("run_id", _Id),
    Column("name", _Text, nullable=False),
    Column("value", Double),
    Column("source", _Text, nullable=False),
    Column("sort_at", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
    PrimaryKeyConstraint("id"),
    Index("ix_scores_trace_id_sort_at", "trace_id", "sort_at", "id"),
)

projects = Table(
    "projects",
    metadata,
    Column("name", _Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("name"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", _Text, nullable=False),
    Column("name", _Text, nullable=False),
    Column("prefix", _Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    PrimaryKeyConstraint("id"),
    Index("ix_api_keys_digest", "digest", unique=True),
)

users = Table(
    "users",
    metadata,
    Column("name", _Text, nullable=False),
    Column("password_hash", _Text, nullable=False),
    Column("role", _Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("name"),
)

price_overrides = Table(
    "price_overrides",
    metadata,
    Column("project", _Text, nullable=False),
    Column("model", _Text, nullable=False),
    Column("valid_from", BigInteger, nullable=False),
    Column("input_micro_usd", BigInteger, nullable=False),
    Column("output_micro_usd", BigInteger, nullable=False),
    Column("cache_read_micro_usd", BigInteger),
    Column("cache_write_micro_usd", BigInteger),
    PrimaryKeyConstraint("project", "model", "valid_from"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", _Text, nullable=False),
    Column("value", _Text, nullable=False),
    PrimaryKeyConstraint("name"),
)
