"""When two pieces of Python do the same by their form: equal syntax trees once names, notes and types are taken away.

Not when they do the same by their behaviour: nothing is run.
"""

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final

MOST_CHARS: Final = 100_000
"""Longer code is not parsed."""
MOST_DEPTH: Final = 100
"""Code nested deeper, in nodes of its syntax tree, has no normal form: how deep a walk may go would depend on who calls it."""

_FENCE: Final = re.compile(r"^[ \t]*```[ \t]*([\w+#-]*)[^\n]*\n(.*?)^[ \t]*```", re.MULTILINE | re.DOTALL)
_PYTHON: Final = frozenset({"", "py", "python", "python3"})

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def code_key(text: str) -> str | None:
    """Digest of the normal form of the Python in `text`; None where there is none that parses.

    Fenced code is taken out first: the longest block that parses, of equal ones the first. Names that functions,
    lambdas and comprehensions bind, parameters among them, are numbered in order of appearance; docstrings, comments
    and annotations are dropped. Names of the module, of classes, attributes and imports, and constants stay.
    """
    fenced = [body for tag, body in _FENCE.findall(text[:MOST_CHARS]) if tag.lower() in _PYTHON]
    for source in sorted(fenced, key=len, reverse=True) if fenced else [text]:
        tree = _parsed(source)
        if tree is not None and tree.body:
            return sha256(ast.dump(tree).encode("utf-8", "surrogatepass")).hexdigest()
    return None


def _parsed(source: str) -> ast.Module | None:
    """The normal form; None for what is no Python, or nested too deep."""
    if len(source) > MOST_CHARS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that Python will refuse one day
            tree = ast.parse(_dedented(source))
        if _deeper_than(tree, MOST_DEPTH):
            return None
        normal: ast.Module = _Normal().visit(_Bare().visit(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return normal


def _deeper_than(tree: ast.AST, levels: int) -> bool:
    """Whether some node lies more than `levels` under the root; found level by level, not by recursion."""
    level = [tree]
    for _ in range(levels):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return False
    return any(True for node in level for _ in ast.iter_child_nodes(node))


def _dedented(source: str) -> str:
    """`source` with the indentation of its first line taken from every line: a fence in a list is indented."""
    lines = source.strip("\n").expandtabs(4).split("\n")
    margin = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[margin:] if not line[:margin].strip() else line for line in lines)


class _Bare(ast.NodeTransformer):
    """Takes docstrings and annotations away."""

    def visit_Module(self, node: ast.Module) -> ast.AST:
        self.generic_visit(node)
        node.body = _without_docstring(node.body)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: _Function) -> ast.AST:
        self.generic_visit(node)
        node.returns = node.type_comment = None
        if hasattr(node, "type_params"):
            node.type_params = []
        node.body = _without_docstring(node.body) or [ast.Pass()]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.body = _without_docstring(node.body) or [ast.Pass()]
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        return None if node.value is None else ast.Assign(targets=[node.target], value=node.value, lineno=0)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    documented = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return body[1:] if documented else body


class _Normal(ast.NodeTransformer):
    """Numbers the names that functions bind, each in its scope."""

    def __init__(self) -> None:
        self._scopes: list[dict[str, str | None]] = []
        """Innermost last; a name without a number yet has None. A class's names keep themselves."""
        self._classes: list[int] = []
        """Which of the scopes are a class's: functions inside do not see them."""
        self._count = 0

    def _named(self, name: str) -> str:
        """What `name` is called in the normal form where it stands."""
        for depth in reversed(range(len(self._scopes))):
            scope = self._scopes[depth]
            if name not in scope or (depth in self._classes and depth != len(self._scopes) - 1):
                continue
            if depth in self._classes:
                return name
            if scope[name] is None:
                self._count += 1
                scope[name] = f"name {self._count}"
            return scope[name] or name
        return name

    @contextmanager
    def _scope(self, names: Iterable[str], *, of_class: bool = False) -> Iterator[None]:
        if of_class:
            self._classes.append(len(self._scopes))
        self._scopes.append(dict.fromkeys(names))
        yield
        self._scopes.pop()
        if of_class:
            self._classes.pop()

    def visit(self, node: ast.AST) -> Any:  # noqa: ANN401 - as in `ast`
        """Visit by kind; whatever holds a name as a plain string is renamed here."""
        for field in ("name", "rest"):
            if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar | ast.MatchMapping | _Function):
                written = getattr(node, field, None)
                if isinstance(written, str):
                    setattr(node, field, self._named(written))
        if isinstance(node, _Function):
            return self._function(node)
        if isinstance(node, _Comprehension):
            return self._comprehension(node)
        return super().visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(id=self._named(node.id), ctx=node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = self._named(node.arg)
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        node.names = sorted(map(self._named, node.names))
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        node.args = self._defaults(node.args)
        with self._scope(_parameters(node.args)):
            node.args = self._parameters(node.args)
            node.body = self.visit(node.body)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self._named(node.name)
        for part in (node.decorator_list, node.bases, node.keywords):
            part[:] = [self.visit(each) for each in part]
        with self._scope(_bound(node.body), of_class=True):
            node.body = [self.visit(statement) for statement in node.body]
        return node

    def _function(self, node: _Function) -> ast.AST:
        node.decorator_list = [self.visit(each) for each in node.decorator_list]
        node.args = self._defaults(node.args)
        with self._scope([*_parameters(node.args), *_bound(node.body)]):
            node.args = self._parameters(node.args)
            node.body = [self.visit(statement) for statement in node.body]
        return node

    def _comprehension(self, node: _Comprehension) -> ast.AST:
        """The first iterable belongs to the scope around."""
        first = self.visit(node.generators[0].iter)
        node.generators[0].iter = ast.Constant(None)
        with self._scope(name for each in node.generators for name in _targets(each.target)):
            self.generic_visit(node)
        node.generators[0].iter = first
        return node

    def _defaults(self, args: ast.arguments) -> ast.arguments:
        """Defaults belong to the scope around."""
        args.defaults = [self.visit(each) for each in args.defaults]
        args.kw_defaults = [each and self.visit(each) for each in args.kw_defaults]
        return args

    def _parameters(self, args: ast.arguments) -> ast.arguments:
        for each in _all_arguments(args):
            self.visit(each)
        return args


def _all_arguments(args: ast.arguments) -> list[ast.arg]:
    starred = [each for each in (args.vararg, args.kwarg) if each is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *starred]


def _parameters(args: ast.arguments) -> list[str]:
    return [each.arg for each in _all_arguments(args)]


def _targets(target: ast.AST) -> list[str]:
    return [node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def _bound(body: Iterable[ast.AST]) -> list[str]:
    """Names that the statements bind in their own scope; imported names and those declared elsewhere keep themselves."""
    bound: list[str] = []
    elsewhere: set[str] = set()
    for node in _own_nodes(body):
        if isinstance(node, ast.Global | ast.Nonlocal):
            elsewhere.update(node.names)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            elsewhere.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            bound.append(node.id)
        else:
            bound += [
                name
                for name in (getattr(node, "name", None), getattr(node, "rest", None))
                if isinstance(name, str) and not isinstance(node, ast.alias)
            ]
    return [name for name in bound if name not in elsewhere]


def _own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a scope, without what lies in the scopes inside it (`:=` in a comprehension binds out here)."""
    for node in body:
        yield node
        if isinstance(node, _Comprehension):
            yield from (each.target for each in ast.walk(node) if isinstance(each, ast.NamedExpr))
        elif not isinstance(node, _SCOPES):
            yield from _own_nodes(ast.iter_child_nodes(node))
