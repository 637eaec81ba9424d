"""A small file of judged answers, made here: models differ in how many true facts of a topic they tell."""

import json

import numpy as np
import pytest


class MemoryStore:
    def __init__(self):
        self.held = {}

    def get(self, encoder, digests):
        return {digest: self.held[encoder, digest] for digest in digests if (encoder, digest) in self.held}

    def put(self, encoder, vectors):
        for digest, vector in vectors.items():
            self.held.setdefault((encoder, digest), vector)


@pytest.fixture(scope="session")
def judged_file(tmp_path_factory):
    """24 prompts, 9 models; model k tells the common facts with probability (k + 2) / 11, and is preferred as much."""
    rng = np.random.default_rng(11)
    path = tmp_path_factory.mktemp("judged") / "made.jsonl"
    rows = []

    def own(k):
        """How model k says things: without it the models that know most would be taken for copies."""
        return " ".join(f"style{k}x{i}" for i in rng.integers(0, 60, 7))

    for p in range(24):
        topic = f"topic{p}"
        facts = [f"The {topic} has property {topic}p{i} and therefore quality {topic}q{i}." for i in range(8)]
        for k in range(9):
            truth = (k + 2) / 11
            told = [
                f"{fact} {own(k)}."
                if rng.random() < truth
                else f"Some say {topic} owns {rng.integers(10**6)} odd {rng.integers(10**6)}."
                for fact in facts
            ]
            right = sum(any(fact in each for each in told) for fact in facts) / 8
            rows.append(
                {
                    "prompt_id": f"p{p:02}",
                    "prompt": f"What is known of the {topic} and its property and quality?",
                    "model": f"model-{k}",
                    "output": " ".join(told),
                    "preference": None if (p, k) == (0, 0) else right,
                }
            )
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture(scope="session")
def store():
    """Vectors by text, so that no test embeds what another has embedded."""
    return MemoryStore()


@pytest.fixture(scope="session")
def made_answers(tmp_path_factory):
    """60 made-up questions with gold answers, 12 simulated participants."""
    from consensus_server.evaluation.answer_files import read_judged_answers
    from consensus_server.evaluation.made_questions import write_made_answers

    path = tmp_path_factory.mktemp("made") / "questions.jsonl"
    write_made_answers(path, prompts=60, models=12, seed=7)
    return read_judged_answers(path)
