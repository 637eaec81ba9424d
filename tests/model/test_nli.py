"""A model of entailment: what of its files counts, how its labels are read, and that a verdict depends on its pair alone."""

import json
import shutil
from itertools import permutations

import numpy as np
import pytest

from consensus_server.backends.contradictions import NliModel, short_name
from consensus_server.core.contradictions.doubts import Doubt, Verdict
from consensus_server.core.errors import ComparisonFailed
from tests.support.tiny_nli import AGREES, CLASHES, LABELS

CLASH = Doubt("", f"The {CLASHES} is safe.", "The lamp is safe.")
AGREE = Doubt("Is the drug safe?", "It is safe.", f"The {AGREES} is safe, take it daily.")
OTHER = Doubt("", "The lamp works.", "Take the drug.")


@pytest.fixture(scope="module")
def model(tiny_nli):
    return NliModel(str(tiny_nli))


@pytest.fixture
def copy(tiny_nli, tmp_path):
    return shutil.copytree(tiny_nli, tmp_path / "copy")


def relabelled(folder, labels):
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = labels
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_it_tells_contradictions_what_follows_and_what_does_neither(model):
    assert model.verdicts([CLASH, AGREE, OTHER]) == [Verdict.CONTRADICTION, Verdict.SAME, Verdict.NEITHER]
    assert model.verdicts([]) == []


def test_a_statement_beyond_the_window_is_cut(model):
    assert model.verdicts([Doubt("", f"{CLASHES} " * 300, "lamp " * 300)]) == [Verdict.CONTRADICTION]


def test_neither_the_others_nor_their_order_changes_a_bit_of_what_it_computes(model, monkeypatch):
    seen = []
    real = model._model.predict
    monkeypatch.setattr(
        model._model, "predict", lambda *args, **options: seen.append(real(*args, **options)) or seen[-1]
    )
    model.verdicts([CLASH])
    for order in permutations([CLASH, AGREE, OTHER]):
        seen.append(None)
        model.verdicts(order)
        assert seen[-3:][order.index(CLASH)].tobytes() == seen[0].tobytes()


@pytest.mark.parametrize(
    ("chances", "verdict"),
    [
        ([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1]], Verdict.CONTRADICTION),
        ([[0.9, 0.05, 0.05], [0.4, 0.3, 0.3]], Verdict.NEITHER),  # in one direction only
        ([[0.3, 0.6, 0.1], [0.1, 0.8, 0.1]], Verdict.SAME),
        ([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], Verdict.NEITHER),
        ([[float("nan")] * 3] * 2, Verdict.NEITHER),
    ],
)
def test_both_directions_must_say_so(model, monkeypatch, chances, verdict):
    monkeypatch.setattr(model._model, "predict", lambda *_, **__: np.array(chances, dtype=np.float32))
    assert model.verdicts([CLASH]) == [verdict]


@pytest.mark.parametrize(
    ("labels", "verdicts"),
    [
        (["Neutral", "CONTRADICTION", "entailment"], [Verdict.NEITHER, Verdict.CONTRADICTION, Verdict.SAME]),
        (["neutral", "neither", "Contradiction"], [Verdict.NEITHER, Verdict.NEITHER, Verdict.CONTRADICTION]),
    ],
)
def test_the_models_own_names_say_which_label_is_which(copy, labels, verdicts):
    """Those of the tiny model's outputs are exchanged."""
    model = NliModel(str(relabelled(copy, dict(enumerate(labels)))))
    assert model.verdicts([CLASH, AGREE, OTHER]) == verdicts


@pytest.mark.parametrize("labels", [{}, {"0": "LABEL_0", "1": "LABEL_1"}, {"0": "entailment", "1": "not_entailment"}])
def test_a_model_without_a_label_for_contradictions_is_refused(copy, labels):
    with pytest.raises(ComparisonFailed, match=r"names no label `contradiction` \(id2label: .*\)\. Take a model"):
        NliModel(str(relabelled(copy, labels)))


def test_files_that_are_missing_pickled_or_no_json_are_refused(copy, tmp_path):
    with pytest.raises(ComparisonFailed, match=r"the model folder .*nowhere does not exist"):
        NliModel(str(tmp_path / "nowhere"))
    (copy / "config.json").write_text("{")
    with pytest.raises(ComparisonFailed, match="cannot tell contradictions"):
        NliModel(str(copy))
    (copy / "config.json").unlink()
    with pytest.raises(ComparisonFailed, match="id2label: none"):
        NliModel(str(copy))
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ComparisonFailed, match="pickled weights are not loaded"):
        NliModel(str(copy))


def test_a_name_that_the_hub_has_not_is_refused():
    with pytest.raises(ComparisonFailed, match="neither here nor to be had from the hub"):
        NliModel("nobody/such-a-model")


def test_every_file_that_the_model_is_made_of_is_in_its_version(copy, model):
    (copy / "README.md").write_text("Another card.")
    assert NliModel(str(copy)).version == model.version
    versions = {model.version, NliModel(str(relabelled(copy, dict(enumerate(LABELS))))).version}
    (copy / "vocab.txt").write_text("zebra\n")
    versions.add(NliModel(str(copy)).version)
    assert len(versions) == 3


def test_files_that_change_before_they_are_loaded_are_refused(copy):
    model = NliModel(str(copy))
    relabelled(copy, {"0": "entailment", "1": "contradiction", "2": "neutral"})
    with pytest.raises(ComparisonFailed, match="were changed since the server started"):
        model.verdicts([CLASH])


def test_weights_that_cannot_be_loaded_are_told(copy):
    (copy / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ComparisonFailed, match="no cross-encoder that sentence-transformers can load"):
        NliModel(str(copy)).verdicts([CLASH])


def test_policies_call_a_folder_by_its_last_part(tmp_path):
    (tmp_path / "some-nli").mkdir()
    assert short_name(f"{tmp_path}/some-nli/") == "some-nli"
    assert short_name("/nowhere/other-nli") == "other-nli"
    assert short_name("cross-encoder/nli-MiniLM2-L6-H768") == "cross-encoder/nli-MiniLM2-L6-H768"
