"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts rows only in its own INTEGER


def upgrade() -> None:
    op.create_table(
        "bases",
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("left_native", sa.Text(), nullable=False),
        sa.Column("right_native", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("left_digest", sa.Text(), nullable=False, server_default=""),
        sa.Column("right_digest", sa.Text(), nullable=False, server_default=""),
        sa.Column("generation", BIG, nullable=False, server_default="0"),
        sa.Column("norm_version", BIG, nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("flow", "left_native", "right_native"),
        sqlite_with_rowid=False,
    )
    op.create_index("bases_right", "bases", ["flow", "right_native"])
    op.create_table(
        "budgets",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("allowed", BIG, nullable=False),
        sa.Column("used", BIG, nullable=False),
        sa.Column("reset_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("system", "name", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "due",
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("native", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("asked_at", sa.Double(), nullable=False),
        sa.Column("not_before", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("flow", "side", "native"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "flows",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False, server_default="{}"),
        sa.Column("left_seq", BIG, nullable=False, server_default="0"),
        sa.Column("right_seq", BIG, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "intents",
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("run", BIG, nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("stream", BIG, nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("source_native", sa.Text(), nullable=True),
        sa.Column("target_native", sa.Text(), nullable=True),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.Column("sent_at", sa.Double(), nullable=True),
        sa.Column("tries", BIG, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("op"),
        sqlite_with_rowid=False,
    )
    op.create_index("intents_flow", "intents", ["flow", "state"])
    op.create_index("intents_slot", "intents", ["stream", "slot"], unique=True)
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("fence", BIG, nullable=False, server_default="0"),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "match_keys",
        sa.Column("stream", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("native", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "kind", "value", "native"),
        sqlite_with_rowid=False,
    )
    op.create_index("match_keys_native", "match_keys", ["stream", "native"])
    op.create_table(
        "members",
        sa.Column("stream", BIG, nullable=False),
        sa.Column("native", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False, server_default=""),
        sa.Column("begun", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "native"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "members_one_main",
        "members",
        ["subject", "stream"],
        unique=True,
        sqlite_where=sa.text("role = 'main'"),
        postgresql_where=sa.text("role = 'main'"),
    )
    op.create_index("members_subject", "members", ["subject", "stream"])
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "observations",
        sa.Column("stream", BIG, nullable=False),
        sa.Column("native", sa.Text(), nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("version", sa.Text(), nullable=False, server_default=""),
        sa.Column("entity_version", BIG, nullable=False, server_default="1"),
        sa.Column("raw_digest", sa.Text(), nullable=False, server_default=""),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("vals", sa.Text(), nullable=True),
        sa.Column("gone", BIG, nullable=False, server_default="0"),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("scan", BIG, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("stream", "native"),
        sqlite_with_rowid=False,
    )
    op.create_index("observations_seq", "observations", ["stream", "seq"])
    op.create_table(
        "runs",
        sa.Column("id", BIG, sa.Identity(), nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("begun", sa.Double(), nullable=False),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False, server_default="{}"),
        sa.Column("message", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("version", BIG, nullable=False, server_default="1"),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "streams",
        sa.Column("id", BIG, sa.Identity(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("next", sa.Text(), nullable=True),
        sa.Column("seq", BIG, nullable=False, server_default="0"),
        sa.Column("scan", BIG, nullable=False, server_default="0"),
        sa.Column("complete_at", sa.Double(), nullable=True),
        sa.Column("read_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("connection", "resource", name="streams_name"),
    )
    op.create_table(
        "subjects",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("begun", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "trail",
        sa.Column("seq", BIG, autoincrement=False, nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.Column("at_us", BIG, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("run", BIG, nullable=True),
        sa.Column("op", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("commitment", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("trail_run", "trail", ["run", "seq"])
    op.create_index("trail_subject", "trail", ["subject", "seq"])
    op.create_table(
        "trail_head",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "work",
        sa.Column("id", BIG, sa.Identity(), nullable=False),
        sa.Column("list", sa.Text(), nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("native", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False, server_default=""),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("op", sa.Text(), nullable=True),
        sa.Column("run", BIG, nullable=True),
        sa.Column("tries", BIG, nullable=False, server_default="0"),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=True),
        sa.Column("closed_at", sa.Double(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("work_flow", "work", ["flow", "list", "state"])
    op.create_index(
        "work_open",
        "work",
        ["list", "flow", "side", "native", "field"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("work_record", "work", ["flow", "side", "native"])
