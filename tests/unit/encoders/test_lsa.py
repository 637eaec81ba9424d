"""The lexical encoder that is fitted: the same texts give the same files, and they load as what they were."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from consensus_server.backends.encoders import EncoderError, fit_lsa, load_encoder
from consensus_server.cli.application import app

ANIMALS = [
    f"The young of a {animal} is called {young}."
    for animal, young in [
        ("dog", "puppy"),
        ("cat", "kitten"),
        ("horse", "foal"),
        ("cow", "calf"),
        ("sheep", "lamb"),
        ("goat", "kid"),
    ]
]
CAPITALS = [
    f"The capital of {country} is {capital}."
    for country, capital in [
        ("France", "Paris"),
        ("Italy", "Rome"),
        ("Spain", "Madrid"),
        ("Norway", "Oslo"),
        ("Chile", "Santiago"),
    ]
]
TEXTS = [*ANIMALS, *CAPITALS]  # fmt: skip


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_texts_in_any_order_and_number_give_the_same_encoder(tmp_path):
    one = fit_lsa(TEXTS, tmp_path / "a" / "ours", dimension=6)
    other = fit_lsa([*random.Random(0).sample(TEXTS, len(TEXTS)), TEXTS[3]], tmp_path / "b" / "ours", dimension=6)
    assert one.identity == other.identity
    assert files(tmp_path / "a" / "ours") == files(tmp_path / "b" / "ours")


def test_another_process_fits_the_same_encoder(tmp_path):
    here = fit_lsa(TEXTS, tmp_path / "here" / "ours", dimension=6)
    code = (
        "import json, sys, pathlib; from consensus_server.backends.encoders.lsa import fit_lsa;"
        "print(fit_lsa(json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]), dimension=6).identity.digest)"
    )
    command = [sys.executable, "-c", code, json.dumps(TEXTS), str(tmp_path / "there" / "ours")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == here.identity.digest


def test_texts_of_like_make_are_closer_and_the_marking_is_plain(tmp_path):
    encoder = fit_lsa(TEXTS, tmp_path / "ours", dimension=4)
    animal, other_animal, capital = encoder.encode_with_openings([ANIMALS[0], ANIMALS[1], CAPITALS[0]])[0]
    assert animal @ other_animal > animal @ capital
    assert "LEXICAL" in encoder.identity.name


def test_texts_of_unknown_words_alone_are_told_apart(tmp_path):
    encoder = fit_lsa(TEXTS, tmp_path / "ours", dimension=4)
    hebrew, again, greek = encoder.encode_with_openings(["עברית", "עברית", "ελληνικά"])[0]
    assert hebrew @ again == pytest.approx(1)
    assert hebrew @ greek < 0.5


def test_other_texts_or_dimensions_are_another_encoder(tmp_path):
    names = [
        fit_lsa(texts, tmp_path / str(at) / "ours", dimension=dimension).identity.digest
        for at, (texts, dimension) in enumerate([(TEXTS, 6), (TEXTS[1:], 6), (TEXTS, 5)])
    ]
    assert len(set(names)) == 3


def test_the_folder_is_loaded_by_its_path(tmp_path):
    fitted = fit_lsa(TEXTS, tmp_path / "ours", dimension=6)
    loaded = load_encoder(str(tmp_path / "ours"))
    assert loaded.identity == fitted.identity
    assert loaded.encode_with_openings(TEXTS)[0].tobytes() == fitted.encode_with_openings(TEXTS)[0].tobytes()


def test_a_row_does_not_depend_on_its_neighbours(tmp_path):
    encoder = fit_lsa(TEXTS, tmp_path / "ours", dimension=6)
    alone = np.vstack([encoder.encode_with_openings([text])[0] for text in TEXTS])
    assert alone.tobytes() == encoder.encode_with_openings(TEXTS)[0].tobytes()


def test_too_few_texts_and_a_folder_in_use_are_refused(tmp_path):
    with pytest.raises(EncoderError, match="1 different texts with content"):
        fit_lsa(["one", " one ", "", "\u200b"], tmp_path / "ours")
    (tmp_path / "held").mkdir()
    with pytest.raises(EncoderError, match="exists already"):
        fit_lsa(TEXTS, tmp_path / "held")
    assert [path.name for path in tmp_path.iterdir()] == ["held"]


@pytest.mark.parametrize("file", ["lsa.json", "vocabulary.json", "lsa.safetensors"])
def test_a_damaged_file_is_named(tmp_path, file):
    fit_lsa(TEXTS, tmp_path / "ours", dimension=4)
    (tmp_path / "ours" / file).write_bytes(b"\x80 no such thing")
    with pytest.raises(EncoderError, match=file):
        load_encoder(str(tmp_path / "ours"))


class TestTheCommand:
    @pytest.fixture
    def rows(self, tmp_path):
        path = tmp_path / "answers.jsonl"
        path.write_text("".join(json.dumps({"output": text}) + "\n" for text in TEXTS), encoding="utf-8")
        return path

    def run(self, *arguments):
        return CliRunner().invoke(app, ["encoder", "fit", *map(str, arguments)])

    def test_it_fits_from_rows_and_says_who_the_encoder_is(self, rows, tmp_path):
        done = self.run(rows, "--field", "output", "--dimension", 6, "--out", tmp_path / "ours", "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["digest"] == load_encoder(str(tmp_path / "ours")).identity.digest

    def test_it_fits_from_lines_and_from_prompt_sets(self, tmp_path):
        (tmp_path / "lines.txt").write_text("\n".join(TEXTS), encoding="utf-8")
        pocket = Path(__file__).parents[3] / "prompts" / "pocket" / "1.1"
        done = self.run(tmp_path / "lines.txt", pocket, "--dimension", 6, "--out", tmp_path / "ours")
        assert done.exit_code == 0, done.output
        assert load_encoder(str(tmp_path / "ours")).identity.dimension == 6 + 256

    def test_a_row_without_the_field_is_named_and_nothing_is_left(self, rows, tmp_path):
        done = self.run(rows, "--out", tmp_path / "ours")
        assert done.exit_code == 4
        assert "line 1: text is missing" in done.stderr
        assert not (tmp_path / "ours").exists()

    @pytest.mark.parametrize(("content", "said"), [(b"\xfa\xfb", "is not UTF-8"), (None, "No such file")])
    def test_a_file_that_cannot_be_read_is_named(self, tmp_path, content, said):
        source = tmp_path / "lines.txt"
        if content:
            source.write_bytes(content)
        done = self.run(source, "--out", tmp_path / "ours")
        assert done.exit_code == 4
        assert "lines.txt" in done.stderr
        assert said in done.stderr
