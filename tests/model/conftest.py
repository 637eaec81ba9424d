"""The model that tests of training share; files that need another one define their own."""

import pytest


@pytest.fixture(scope="session")
def model(pocket_base):
    """A Llama of one layer and width 32 that has hardly been trained."""
    from client_kit.pocket.recipes import ModelRecipe

    return pocket_base(
        ModelRecipe("llama", "llama", "byte_bpe", 400, width=32, layers=1, heads=1, steps=5, batch_size=4)
    )
