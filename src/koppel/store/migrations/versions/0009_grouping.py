"""Documents that are posted together: what they belong to, what was made of them, what must be made anew."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "grouped",
        sa.Column("stream", BIG, autoincrement=False, nullable=False),
        sa.Column("posting", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("part", BIG, nullable=False, server_default="0"),
        sa.Column("again", BIG, nullable=False, server_default="0"),
        sa.Column("out", BIG, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("stream", "posting", "document"),
        sqlite_with_rowid=False,
    )
    op.create_index("grouped_document", "grouped", ["stream", "document"])
    op.create_table(
        "postings",
        sa.Column("stream", BIG, autoincrement=False, nullable=False),
        sa.Column("posting", sa.Text(), nullable=False),
        sa.Column("part", BIG, autoincrement=False, nullable=False),
        sa.Column("native", sa.Text(), nullable=False),
        sa.Column("sums", sa.Text(), nullable=False),
        sa.Column("posted", BIG, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("stream", "posting", "part"),
        sqlite_with_rowid=False,
    )
    op.create_index("postings_native", "postings", ["stream", "native"], unique=True)
    op.create_table(
        "regroup",
        sa.Column("stream", BIG, autoincrement=False, nullable=False),
        sa.Column("posting", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("stream", "posting"),
        sqlite_with_rowid=False,
    )
