"""The bill of materials has what CycloneDX requires, and all of what is installed."""

from importlib.metadata import distributions, version

import pytest
from packaging.utils import canonicalize_name

from tools.sbom import bill


@pytest.fixture(scope="module")
def made():
    return bill()


def test_each_component_has_what_cyclonedx_requires(made):
    assert (made["bomFormat"], made["specVersion"], made["version"]) == ("CycloneDX", "1.6", 1)
    refs = [each["bom-ref"] for each in made["components"]]
    assert len(refs) == len(set(refs)), "references are unique"
    for each in made["components"]:
        assert each["type"] in {"library", "machine-learning-model"}
        assert all(each[field] for field in ("name", "version", "purl"))
        assert each["purl"].startswith("pkg:")
        for licence in each.get("licenses", []):
            assert licence.keys() <= {"expression", "license"}


def test_everything_that_is_installed_is_in_it(made):
    installed = {canonicalize_name(each.metadata["Name"]) for each in distributions()}
    listed = {each["name"] for each in made["components"] if each["type"] == "library"}
    assert listed == installed - {"semantic-consensus"}
    assert made["metadata"]["component"]["name"] == "semantic-consensus"
    by_name = {each["name"]: each for each in made["components"]}
    assert by_name["pydantic"]["version"] == version("pydantic")
    assert by_name["pydantic"]["licenses"] == [{"expression": "MIT"}]
    assert by_name["torch"]["purl"] == f"pkg:pypi/torch@{version('torch').replace('+', '%2B')}"


def test_most_components_have_a_licence(made):
    without = [each["name"] for each in made["components"] if each["type"] == "library" and "licenses" not in each]
    assert len(without) < len(made["components"]) / 20


def test_the_encoder_is_a_component_with_the_digest_of_its_weights(made):
    (model,) = [each for each in made["components"] if each["type"] == "machine-learning-model"]
    files = {each["name"]: each["hashes"][0]["content"] for each in model["components"]}
    assert model["name"] == "all-MiniLM-L6-v2"
    assert len(files["model.safetensors"]) == 64


def test_the_same_environment_gives_the_same_bill(made):
    assert bill() == made
