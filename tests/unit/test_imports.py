"""What an import of the kit loads, and that it takes no longer than what it stands on lets expect."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "fastapi", "openai", "trl", "vllm", "datasets", "ray", "numpy", "sqlalchemy")


def loaded_by(statement):
    """Modules and seconds of a fresh interpreter that runs one statement."""
    code = f"import sys, time; t = time.process_time(); {statement}; print(time.process_time() - t, *sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    seconds, *modules = output.split()
    return set(modules), float(seconds)


@pytest.mark.parametrize(
    "statement",
    [
        "import client_kit; [getattr(client_kit, name) for name in client_kit.__all__]",
        "import client_kit.wiring, client_kit.generation.cleaning, client_kit.overlap",
        "import client_kit.generation.openai_compatible, client_kit.generation.transformers_local",
        "import client_kit.federation.participant",
    ],
)
def test_no_import_of_the_kit_loads_a_heavy_library(statement):
    modules, seconds = loaded_by(statement)
    assert modules.isdisjoint(HEAVY)
    assert not any(name.partition(".")[0] == "consensus_server" for name in modules)
    # What it stands on takes about half as long: a ratio, for a machine may be slow or busy.
    assert seconds < 4 * min(loaded_by("import httpx, pydantic, rich, typer, yaml")[1] for _ in range(3))


def test_the_name_of_the_kit_alone_loads_next_to_nothing():
    modules, _ = loaded_by("import client_kit")
    assert modules.isdisjoint({"httpx", "pydantic", "yaml"})
