"""Models that tests of several folders train on."""

import os

import pytest


@pytest.fixture(scope="session")
def pocket_base(tmp_path_factory):
    """pocket_base(recipe): folder of a base model of the small world. Made once in a test run; nobody writes into it."""
    from client_kit.pocket.models import base_model
    from client_kit.pocket.world import load_world

    # Each process of a parallel run has its own folder beside those of the others.
    own = tmp_path_factory.getbasetemp()
    cache = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "pocket-bases"
    world = load_world(("capitals",), facts_per_topic=6)
    return lambda recipe: base_model(recipe, world, seed=0, cache=cache)


@pytest.fixture(scope="session")
def tiny_nli(tmp_path_factory):
    """Folder of a cross-encoder that knows two words (tests/support/tiny_nli.py). Made once in a test run; nobody writes into it."""
    from tests.support.tiny_nli import write_tiny_nli

    return write_tiny_nli(tmp_path_factory.mktemp("nli") / "tiny")
