"""What a model is asked with is what it was trained on: the first ids of every way in which a prompt reaches it."""

import pytest
from transformers import LlamaModel

from client_kit.comparison.losses import mean_loss
from client_kit.generation.base import Sampling
from client_kit.generation.transformers_local import TransformersGenerator
from client_kit.settings import DpoSettings, DpSettings, SftSettings
from client_kit.training.base import Example
from client_kit.training.dpo import DPOFineTuner
from client_kit.training.private import DPFineTuner
from client_kit.training.sft import SFTFineTuner
from client_kit.wire import Prompt
from tests.support.tiny_model import tiny_tokenizer, write_tiny_model

SHARED = {"learning_rate": 1e-3, "batch_size": 2, "device": "cpu", "max_length": 32}
ONE = [Example("what bird", "the river", rejected="tree", public=True)]
# The tokenizer adds a beginning, and the template writes one too.
CHAT = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}<user> {{ m.content }} {% else %}<bot> <think> </think> "
    "{{ m.content }} <end> {% endif %}{% endfor %}{% if add_generation_prompt %}<bot> {% endif %}"
)
WAYS = {
    "sft": lambda: SFTFineTuner(SftSettings(kind="sft", steps=1, **SHARED)),
    "reft": lambda: SFTFineTuner(SftSettings(kind="sft", steps=1, method="reft", reft_positions="f1+l1", **SHARED)),
    "dpo": lambda: DPOFineTuner(DpoSettings(kind="dpo", steps=1, preference_steps=1, **SHARED)),
    "dp": lambda: DPFineTuner(
        DpSettings(
            kind="dp", steps=1, epsilon=100, delta=0.1, planned_steps=4, expected_batch=1, accountant="rdp", **SHARED
        )
    ),
}


@pytest.mark.parametrize("template", [None, CHAT], ids=["plain", "chat"])
def test_one_beginning_for_training_answering_and_measuring(tmp_path, monkeypatch, template):
    tokenizer = tiny_tokenizer(chat_template=template, beginning="<bos>", ending="<end>")
    tokenizer.pad_token = tokenizer.eos_token  # as many models have it
    folder = write_tiny_model(tmp_path / "model", tokenizer=tokenizer)
    seen, forward = {}, LlamaModel.forward

    def watched(self, input_ids=None, **given):
        rows = input_ids.tolist()
        seen.setdefault(way, []).extend([ids for ids in rows if len(ids) > 1])
        return forward(self, input_ids=input_ids, **given)

    monkeypatch.setattr(LlamaModel, "forward", watched)
    for way, tuner in WAYS.items():
        private = [Example("what bird", "the river")] if way == "dp" else ONE
        tuner().train(folder, private, steps=1, seed=0, output=tmp_path / way)
    way = "answers"
    list(TransformersGenerator(folder).generate([Prompt(prompt_id="p", prompt="what bird")], Sampling(max_tokens=1)))
    way = "loss"
    mean_loss(folder, ONE)
    asked = ["<bos>", "what", "bird"] if template is None else ["<bos>", "<user>", "what", "bird", "<bot>"]
    told = [*asked, "the", "river", "<end>"]
    rejected = [*asked, "tree", "<end>", "<end>"]  # the last one pads
    found = {way: {tuple(tokenizer.convert_ids_to_tokens(ids)) for ids in rows} for way, rows in seen.items()}
    found["dp"] = {tokens for tokens in found["dp"] if tokens[0] == "<bos>"}  # the others try out whether gradients fit
    assert found.pop("answers") == {tuple(asked)}
    assert found.pop("dpo") == {tuple(told), tuple(rejected)}
    assert found == {way: {tuple(told)} for way in ("sft", "reft", "dp", "loss")}
