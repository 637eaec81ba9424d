"""Shows what of a round is not submitted as the model said it, and why."""

from rich.console import Console

from client_kit.command_line import console, table_of
from client_kit.generation.losses import COLUMNS, Lost, lost_rows


def show_lost(lost: Lost, where: Console = console) -> None:
    """A table, a row for each reason; nothing where nothing is lost."""
    if rows := lost_rows(lost):
        where.print(table_of(COLUMNS, rows))
