"""What was found out about texts, such as whether two contradict one another."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "features",
        sa.Column("kind", sa.String(length=16), nullable=False, comment="of what found it out"),
        sa.Column("version", sa.String(length=64), nullable=False, comment="SHA-256 of everything that it depends on"),
        sa.Column("digest", sa.String(length=64), nullable=False, comment="SHA-256 of a text, or of several"),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "version", "digest", name=op.f("pk_features")),
    )
