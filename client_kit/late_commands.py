"""Commands whose modules are loaded when they are called: a help page loads none of them, and reads their lines in the sources."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand


@dataclass(frozen=True, slots=True)
class Late:
    """Where a command is."""

    module: str
    """Its `register` adds the command to an application; where it has none, `function` is the command as it stands."""
    function: str = ""
    """Name of the command's function; empty for a group, which is the module's `app`."""
    also: tuple[str, ...] = ()
    """Modules whose `register` adds further commands to a group."""

    def line(self) -> str:
        """What a help page says of it: the first paragraph of the function's docstring, or the group's `help`."""
        source = find_spec(self.module)
        if source is None or source.origin is None:
            raise LookupError(f"there is no module {self.module}")
        text = Path(source.origin).read_text(encoding="utf-8")
        return self._said(_statement(text, f"def {self.function}(" if self.function else "app = ")).partition("\n\n")[0]

    def _said(self, statement: ast.stmt) -> str:
        if isinstance(statement, ast.FunctionDef):
            return ast.get_docstring(statement) or ""
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            given = {keyword.arg: keyword.value for keyword in statement.value.keywords}
            if isinstance(found := given.get("help"), ast.Constant):
                return str(found.value)
        raise LookupError(f"nothing is said of {self}")

    def load(self, name: str) -> Any:  # noqa: ANN401 (a private type of the library)
        """The command itself."""
        module = import_module(self.module)
        if not self.function:
            for each in self.also:
                import_module(each).register(module.app)
            group = typer.main.get_group(module.app)
            group.name = name
            return group
        app = typer.Typer(add_completion=False)
        app.callback()(_nothing)  # a group, however many commands there are
        if hasattr(module, "register"):
            module.register(app)
        else:
            app.command(name)(getattr(module, self.function))
        return typer.main.get_group(app).commands[name]


def _statement(source: str, opening: str) -> ast.stmt:
    """The statement of a module that begins so. It alone is parsed: that costs a tenth of parsing the module."""
    start = source.index(f"\n{opening}") + 1
    following = _TOP_LEVEL.search(source, start + 1)
    return ast.parse(source[start : following.start() if following else None]).body[0]


_TOP_LEVEL = re.compile(r"^[^\s)]", re.MULTILINE)
"""The beginning of a statement, decorator or comment of a module."""


def _nothing() -> None:
    """A group needs a callback."""


class LateCommands(Mapping[str, Any]):
    """Commands by name, each loaded the first time that it is asked for."""

    def __init__(self, late: Mapping[str, Late]) -> None:
        self._late = late
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 (as above)
        if name not in self._loaded:
            self._loaded[name] = self._late[name].load(name)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._late

    def __iter__(self) -> Iterator[str]:
        return iter(self._late)

    def __len__(self) -> int:
        return len(self._late)

    def named(self, name: str) -> TyperCommand:
        """The command as a list of commands shows it: it can do nothing."""
        return TyperCommand(name, help=self._late[name].line())
