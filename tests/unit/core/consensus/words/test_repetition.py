import numpy as np
import pytest

from consensus_server.core.consensus.words.repetition import read_units, repetition


def test_repetition_counts_prompts_not_samples_and_leaves_out_quotes_and_short_units():
    slogan, own = "This sentence comes again and again.", "Number {} is a sentence of its own kind."
    prompt = "Please repeat the following sentence."

    def share(texts, pools=None, prompts=None):
        count = len(texts)
        pool = np.array(pools or range(count))
        found = read_units(texts, prompts or [""] * count, pool)
        return repetition(found, np.zeros(count, dtype=np.int64), pool)[0]

    assert share([f"{slogan} {own.format(i)}" for i in range(4)]) == pytest.approx(
        len(slogan) / (len(slogan) + len(own) - 1)
    )
    assert share([slogan] * 2) == 0
    assert share([slogan] * 5, pools=[0] * 5) == 0
    assert share([f"Sure, here it is: {i}" + "!" for i in range(9)] + ["Yes."] * 9) == 0
    assert share([prompt] * 9, prompts=[prompt] * 9) == 0
    assert share([slogan] * 3 + [own.format(i) for i in range(57)]) == 0  # in 3, and in less than 10 %
    assert share([slogan] * 9) == 1
