"""Where weights come from is what docs/supply-chain.md says, and the installed ones are those that were pinned."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

from client_kit.pocket.settings import FULL
from consensus_server.backends.encoders.weights import DEFAULT_ENCODER, PINNED, locate, verify

ROOT = Path(__file__).parents[3]
ENCODER = PINNED[DEFAULT_ENCODER]
PACKAGE = ENCODER.package.replace("_", "-")


def row(beginning):
    (found,) = re.findall(rf"^\| {beginning}.*$", (ROOT / "docs" / "supply-chain.md").read_text("utf-8"), re.MULTILINE)
    return found


def test_the_installed_weights_are_the_pinned_ones():
    verify(locate(DEFAULT_ENCODER, None), ENCODER)


def test_the_page_names_package_revision_and_digests_of_the_encoder():
    stated = re.findall(r"`([^`]+)`", row("Encoder"))
    assert {PACKAGE, ENCODER.repository, ENCODER.revision, *ENCODER.files, *ENCODER.files.values()} == set(stated)
    assert f"`{PACKAGE}` {version(PACKAGE)}," in row("Encoder")
    server = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]["server"]
    assert f"{PACKAGE}=={version(PACKAGE)}" in server


def test_the_page_names_every_model_of_the_demo():
    (stated,) = re.findall(r"\((.*?)\)", row("The demo's base models"))
    assert set(stated.split(", ")) == {each.name for each in FULL.models}
