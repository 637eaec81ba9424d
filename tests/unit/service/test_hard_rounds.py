"""Whatever is submitted: the round is published, each prompt with a label or an abstention with its reason."""
# ruff: noqa: RUF001 - other scripts are the point

from functools import cache

import numpy as np
import pytest

from client_kit.wire import Abstention, PseudoLabel
from consensus_server.backends.encoders import hashing
from consensus_server.backends.encoders.hashing import HashingEncoder
from consensus_server.core.consensus.records import Policy
from tests.support.databases import open_sqlite
from tests.support.service import OPERATOR, Service
from tests.support.shapes import unchecked

PLAIN = Policy(rule="cluster_medoid", guards=False, reliability=False)
POLICIES = [Policy(), Policy(abstain=False), PLAIN]
LONG = "The treatment begins with rest, continues with water and ends, most of the time, with patience and a walk. "

CASES = {
    "all empty": ["", " \n\t", "\u200b\u200d", "\ufeff"],
    "one": ["Only I know."],
    "one and empty ones": ["Only I know.", "", " "],
    "two alike": ["It is London.", "It is London!"],
    "two apart": ["It is London.", "Pasta needs salt"],
    "all identical": [LONG * 2] * 4,
    "all orthogonal": ["alpha beta", "gamma delta", "epsilon zeta", "eta theta"],
    "a megabyte": ["word " * 210_000, "\u00e9" * 2**20, "short", "brief"],
    "languages mixed": ["Die Hauptstadt ist Paris.", "La capitale est Paris.", "首都はパリです。", "العاصمة باريس"],
    "no spaces": ["首都是巴黎这是大家都知道的事情", "首都是巴黎这是大家都知道的", "เมืองหลวงคือปารีส", "パリ"],
    "right to left": [
        "\u202eالعاصمة هي باريس\u202c",
        "הבירה היא פריז",
        "\u200fהבירה היא פריז\u200e",
        "العاصمة هي باريس",
    ],
    "zero width": ["P\u200ba\u200br\u200bi\u200bs", "Paris", "\u2060Paris\u2060", "\u00ad"],
    "odd characters": [
        "\ud7ff\ue000\U0010ffff",
        "\x01\x02\x1b[31m",
        "e\u0301" * 500,
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    ],
    "nobody": [],
}
WITHOUT_A_MEGABYTE = {name: texts for name, texts in CASES.items() if name != "a megabyte"}
"""A megabyte takes seconds to read: once with guards, under the policy that has to label it, and once without."""
ABSTAINING = {
    "all empty": "no_answers",
    "one": "single_answer",
    "one and empty ones": "single_answer",
    "two apart": "tie",
    "all orthogonal": "tie",
    "nobody": "no_answers",
}
"""Under the plain policy; the others have a label there, or abstain with one of the reasons."""


@pytest.fixture(scope="module", autouse=True)
def _each_text_is_embedded_once():
    """A megabyte takes the stand-in encoder seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "_embed", cache(hashing._embed))
        yield


class NotANumber(HashingEncoder):
    """An encoder that fails silently on every text with an `a` in it."""

    def encode_with_openings(self, texts):
        vectors, openings = super().encode_with_openings(texts)
        vectors[["a" in text for text in texts]] = np.nan
        return vectors, openings


def outcomes(folder, policy, cases, encoder=None):
    """One prompt for each case; published labels by case."""
    service = Service(open_sqlite(folder), encoder=encoder)
    names = list(cases)
    sites = service.found(
        sites=[f"site-{i}" for i in range(4)],
        prompts=len(names),
        policy=policy,
        quorum=4,
        max_answer_chars=2 * 2**20,
    )
    service.open()
    ids = {name: f"p-{i}" for i, name in enumerate(names)}
    for i, site in enumerate(sites):
        service.submit(site, {ids[name]: texts[i] for name, texts in cases.items() if i < len(texts)})
    assert service.worker.run_once()
    assert service.state() == "published"
    lines = [PseudoLabel.model_validate_json(line) for line in service.labels().splitlines()]
    by_id = {label.prompt_id: label for label in lines}
    rejections = service.rejections.page(OPERATOR, "clinics", 1).items
    service.inspection.map(OPERATOR, "clinics", 1, ids["all orthogonal"])
    assert service.inspection.what_if(OPERATOR, "clinics", 1, policy).changed == 0
    service.store.close()
    return {name: by_id[ids[name]] for name in names}, rejections


@pytest.mark.parametrize("policy", POLICIES, ids=["default", "every prompt", "plain"])
def test_each_case_is_decided_or_abstained_from_with_its_reason(tmp_path, policy):
    cases = WITHOUT_A_MEGABYTE if policy == Policy() else CASES
    labels, rejections = outcomes(tmp_path, policy, cases)
    for name, label in labels.items():
        assert (label.text is None) is (label.abstention is not None), name
        assert label.abstention is None or label.abstention in set(Abstention)
        assert label.text is None or label.text in CASES[name]
    if policy == PLAIN:
        assert {name: labels[name].abstention for name in ABSTAINING} == ABSTAINING
        assert labels["all identical"].support == 4
    if not policy.abstain:
        assert {name for name, label in labels.items() if label.text is None} == {"all empty", "nobody"}
    assert {each.fate.gate for each in rejections} >= {"empty"}
    assert all(each.fate.admitted is False for each in rejections)


@pytest.mark.parametrize("policy", [Policy(), PLAIN], ids=["default", "plain"])
def test_an_encoder_that_gives_nan_costs_its_answers_and_no_round(tmp_path, policy):
    labels, rejections = outcomes(tmp_path, policy, WITHOUT_A_MEGABYTE, NotANumber())
    assert labels["all identical"].abstention == "no_answers"
    assert "not_embeddable" in {each.fate.gate for each in rejections}


def test_ten_thousand_answers_to_one_prompt(tmp_path):
    service = Service(open_sqlite(tmp_path))
    names = [f"site-{i:03}" for i in range(160)]
    sites = service.found(sites=names, prompts=1, quorum=160, samples_per_prompt=64)
    service.open()
    for number, site in enumerate(sites):
        meaning = "London is the capital" if number % 3 else "Rome it was, surely"
        service.submit(site, {("p-0", sample): f"{meaning} {number} {sample}" for sample in range(64)})
    with unchecked():
        assert service.worker.run_once()
    (label,) = service.pseudo_labels.page(OPERATOR, "clinics", 1).items
    assert service.pseudo_labels.card(OPERATOR, "clinics", 1).counts.answers == 10_240
    assert label.text.startswith("London")
    assert label.share > 0.5
    service.store.close()
