"""Bases hold values as they were shown and are normalised when they are compared: of which normaliser they are says nothing."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("bases", "norm_version")
