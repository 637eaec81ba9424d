"""What callers of panels have spent of their budgets."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "spendings",
        sa.Column("caller", sa.String(length=64), nullable=False, comment="name in the panels file"),
        sa.Column("began", sa.BigInteger(), nullable=False, comment="of the time that the budget is for, Unix seconds"),
        sa.Column("tokens", sa.BigInteger(), nullable=False, comment="spent or reserved"),
        sa.Column("money", sa.Float(), nullable=False, comment="spent or reserved"),
        sa.PrimaryKeyConstraint("caller", "began", name=op.f("pk_spendings")),
    )
