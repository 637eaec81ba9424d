"""Who did what, as a chain."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False, comment="without gaps, from 1"),
        sa.Column("digest", sa.String(length=64), nullable=False, comment="of the line and all before it"),
        sa.Column("line", sa.Text(), nullable=False, comment="JSON"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
    )
