"""These tests mirror what they test: for each module one file, in the same folder, by the same name."""

import ast
from pathlib import Path

import consensus_server.core.consensus as core

HERE, THERE = Path(__file__).parent, Path(core.__file__).parent

OF_SEVERAL_MODULES = {
    "test_mirror.py": "this file",
    "test_decide_properties.py": "what must matter to no decision, under any policy",
    "test_golden_decisions.py": "decisions are the bytes that they were",
    "test_hard_pools.py": "there is a decision or a reason, whatever comes in",
    "test_shapes.py": "array shapes are checked while all of these tests run",
    "round/test_refusals.py": "refusals change nothing else, through all that reads a round",
    "round/test_reference_rule.py": "the guarded rule is that of the reference",
}
"""Files that are of no module, by what they hold."""


def mirrored():
    """The test file of each module that does something; records alone do nothing."""
    for path in THERE.rglob("*.py"):
        if any(isinstance(node, ast.FunctionDef) for node in ast.walk(ast.parse(path.read_text()))):
            module = path.relative_to(THERE)
            yield str(module.with_name(f"test_{module.name}"))


def test_every_module_that_does_something_has_its_file_and_every_file_its_module():
    assert sorted([*mirrored(), *OF_SEVERAL_MODULES]) == sorted(
        str(p.relative_to(HERE)) for p in HERE.rglob("test_*.py")
    )


def test_every_file_reads_the_module_that_it_is_of():
    """By its import, or through the names that the package gives out."""
    for name in mirrored():
        parts = Path(name).with_suffix("").parts
        module = ".".join([core.__name__, *parts[:-1], parts[-1].removeprefix("test_")])
        tree = ast.parse((HERE / name).read_text())
        imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names = {node.module for node in imported} | {
            f"{node.module}.{each.name}" for node in imported for each in node.names
        }
        given_out = {each.name for node in imported if node.module == core.__name__ for each in node.names}
        own = {each for each in given_out if getattr(getattr(core, each), "__module__", None) == module}
        assert module in names or own, f"{name} says nothing of {module}"
