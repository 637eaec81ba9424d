"""How the upstreams of panels stood on past questions."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "panel_memories",
        sa.Column("panel", sa.String(length=63), nullable=False),
        sa.Column("upstream", sa.String(length=63), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False, comment="digest of what the upstream is asked for"),
        sa.Column("encoder", sa.String(length=64), nullable=False, comment="digest of its identity"),
        sa.Column("total", sa.Double(), nullable=False, comment="of its z on past questions, faded"),
        sa.Column("weight", sa.Double(), nullable=False, comment="of those questions, faded"),
        sa.Column("questions", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("panel", "upstream", "version", "encoder", name=op.f("pk_panel_memories")),
    )
