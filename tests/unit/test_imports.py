"""What an import of the kit loads: what the kit stands on, and nothing heavy."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "fastapi", "openai", "trl", "vllm", "datasets", "ray", "numpy", "sqlalchemy")
STANDS_ON = "import httpx, pydantic, rich, typer, yaml"


def loaded_by(statement):
    """The modules that a fresh interpreter has loaded after one statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def packages(modules):
    """The packages that modules belong to, those of the standard library left out."""
    return {top for name in modules if not (top := name.partition(".")[0]).startswith("_")} - sys.stdlib_module_names


@pytest.mark.parametrize(
    "statement",
    [
        "import client_kit; [getattr(client_kit, name) for name in client_kit.__all__]",
        "import client_kit.wiring, client_kit.generation.cleaning, client_kit.overlap",
        "import client_kit.generation.openai_compatible, client_kit.generation.transformers_local",
        "import client_kit.federation.participant",
    ],
)
def test_an_import_of_the_kit_loads_no_heavy_library_and_little_beyond_what_it_stands_on(statement):
    modules, expected = loaded_by(statement), loaded_by(STANDS_ON)
    assert packages(modules).isdisjoint(HEAVY)
    own = {name for name in modules if name.partition(".")[0] == "client_kit"}
    assert packages(modules - own) - packages(expected) <= {"annotated_types"}
    # Modules, not seconds: a machine may be slow or busy.
    assert len(modules - own) < 1.25 * len(expected)


def test_the_name_of_the_kit_alone_loads_next_to_nothing():
    modules = loaded_by("import client_kit")
    assert modules.isdisjoint({"httpx", "pydantic", "yaml"})
