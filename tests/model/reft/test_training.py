"""Training with TRL and by hand: prompts and completions, conversations, encoders, half precision, checkpoints."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from peft import PeftModel, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    RobertaConfig,
    RobertaForSequenceClassification,
    TrainerCallback,
)
from trl import SFTConfig, SFTTrainer

from client_kit._quiet import without_progress_bars
from client_kit.errors import TrainingError
from client_kit.training.reft import ReftConfig, interventions
from tests.support.reft import adapted, batch, golden_base
from tests.support.tiny_model import CHAT_TEMPLATE, write_tiny_model

ASSISTANT_MASK = (
    "{% for m in messages %}{% if m.role == 'user' %}<user> {{ m.content }} {% else %}<bot> {% generation %}{{ m.content }} "
    "<end> {% endgeneration %}{% endif %}{% endfor %}{% if add_generation_prompt %}<bot> {% endif %}"
)
PAIRS = [
    ("what is the capital", "the capital is a city"),
    ("name one river", "a river in a country"),
    ("name a red bird", "one bird is red and blue"),
    ("what is green", "a tree is green"),
    ("name one fish", "the fish of the river"),
]
REFT = {"rank": 2, "positions": "f1+l1", "task_type": "CAUSAL_LM"}


def turn(role, content):
    return {"role": role, "content": content}


DATA = {
    "prompt-completion": [{"prompt": f"{p} ", "completion": c} for p, c in PAIRS],
    "conversational": [{"prompt": [turn("user", p)], "completion": [turn("assistant", c)]} for p, c in PAIRS],
    "plain": [{"text": f"{p} {c}"} for p, c in PAIRS],
    "messages": [{"messages": [turn("user", p), turn("assistant", c)]} for p, c in PAIRS],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("tiny"), chat_template=CHAT_TEMPLATE)


def trainer(folder, kind, output, *, callbacks=(), template=None, **options):
    settings = {
        "max_steps": 6, "learning_rate": 9e-3, "weight_decay": 0.1, "per_device_train_batch_size": 2, "use_cpu": True,
        "bf16": False, "save_strategy": "no", "logging_strategy": "no", "report_to": [], "disable_tqdm": True, "seed": 3,
        "dataloader_pin_memory": False, "gradient_checkpointing": False,
    } | options  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template or tokenizer.chat_template
    torch.manual_seed(3)
    with without_progress_bars(datasets=True):
        return SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(folder),
            args=SFTConfig(output_dir=str(output), **settings),
            train_dataset=Dataset.from_list(DATA[kind]),
            processing_class=tokenizer,
            peft_config=ReftConfig(**REFT),
            callbacks=list(callbacks),
        )


def numbers(model):
    return {name: value.detach().clone() for name, value in model.named_parameters() if "reft_" in name}


def away_from_identity(model):
    ups = [value.double() for name, value in interventions(model).items() if name.endswith(".R")]
    return max(float((up @ up.mT - torch.eye(len(up), dtype=torch.float64)).abs().max()) for up in ups)


@pytest.mark.parametrize("kind", ["prompt-completion", "conversational"])
def test_trl_trains_an_adapter_and_nothing_else(folder, kind, tmp_path):
    run = trainer(folder, kind, tmp_path)
    before, base = numbers(run.model), {n: p.clone() for n, p in run.model.named_parameters() if "reft_" not in n}
    assert run.train().training_loss > 0
    assert all(not torch.equal(value, before[name]) for name, value in numbers(run.model).items())
    assert all(torch.equal(p, base[n]) for n, p in run.model.named_parameters() if "reft_" not in n)
    assert away_from_identity(run.model) < 1e-5, "with weight decay on"


class Stop(TrainerCallback):
    """Ends a training after step 4, as a kill would between two checkpoints."""

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step == 4


@pytest.mark.parametrize("kind", ["prompt-completion", "conversational"])
def test_a_resumed_training_equals_an_uninterrupted_one_to_the_last_bit(folder, kind, tmp_path):
    checkpoints = {"save_strategy": "steps", "save_steps": 2}
    whole = trainer(folder, kind, tmp_path / "whole", **checkpoints)
    whole.train()
    trainer(folder, kind, tmp_path / "resumed", callbacks=[Stop()], **checkpoints).train()
    resumed = trainer(folder, kind, tmp_path / "resumed", **checkpoints)
    resumed.train(resume_from_checkpoint=True)
    assert all(torch.equal(value, numbers(whole.model)[name]) for name, value in numbers(resumed.model).items())
    loaded = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(folder), tmp_path / "whole" / "checkpoint-6"
    )
    assert all(torch.equal(value, numbers(whole.model)[name]) for name, value in numbers(loaded).items())


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("plain", {}, "not plain text"),
        ("messages", {}, "assistant_only_loss=True"),
        ("prompt-completion", {"label_smoothing_factor": 0.1}, "cannot tell where the prompts end"),
        ("prompt-completion", {"packing": True, "max_length": 32}, "packing=False"),
    ],
    ids=["plain text", "messages without a mask", "label smoothing", "packing"],
)
@pytest.mark.filterwarnings("ignore")  # TRL warns that packing needs flash attention
def test_data_that_hides_the_prompt_is_refused(folder, kind, options, message, tmp_path):
    with pytest.raises(TrainingError, match=message):
        trainer(folder, kind, tmp_path, **options).train()


def test_messages_with_an_assistant_mask_train(folder, tmp_path):
    run = trainer(folder, "messages", tmp_path, template=ASSISTANT_MASK, assistant_only_loss=True)
    assert run.train().training_loss > 0


def gradients(model, **options):
    model.train()
    if options.get("checkpointing"):
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": options["reentrant"]})
    model(**batch(), use_cache=False).loss.backward()
    return {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_changes_no_gradient(reentrant):
    plain = gradients(adapted())
    spared = gradients(adapted(), checkpointing=True, reentrant=reentrant)
    assert plain.keys() == spared.keys()
    assert all("reft_" in name for name in plain)
    assert all(torch.allclose(plain[name], spared[name], atol=1e-7) for name in plain)


def test_a_base_in_half_precision_keeps_the_adapter_in_float32():
    half, full = adapted(dtype=torch.bfloat16), adapted()
    assert {value.dtype for value in numbers(half).values()} == {torch.float32}
    found, wanted = gradients(half), gradients(full)
    for name, value in found.items():
        assert value.dtype == torch.float32
        assert (value - wanted[name]).norm() < 0.25 * wanted[name].norm(), "the base rounds to 8 bits"
    assert away_from_identity(half) < 1e-5


def test_arithmetic_in_half_precision_leaves_the_edit_in_float32():
    model = adapted()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gradients(model)
    wanted = gradients(adapted())
    assert all((found[name] - wanted[name]).norm() < 0.25 * wanted[name].norm() for name in wanted)


def test_dropout_acts_in_training_only():
    model = adapted(dropout=0.5)
    with torch.no_grad():
        assert torch.equal(model(**batch()).logits, adapted()(**batch()).logits)
        model.train()
        assert not torch.equal(model(**batch()).logits, model(**batch()).logits)


def encoder(seed=0):
    torch.manual_seed(seed)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
    shape |= {"initializer_range": 0.3, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return RobertaForSequenceClassification(
        RobertaConfig(vocab_size=40, max_position_embeddings=40, num_labels=2, pad_token_id=1, **shape)
    )


def classified(rows=64):
    """Texts of 6 to 12 tokens; the class says from which half of the vocabulary most of them are."""
    generator = np.random.default_rng(0)
    labels = np.arange(rows) % 2
    ids = generator.integers(8, 24, (rows, 12)) + 16 * (labels[:, None] ^ (generator.random((rows, 12)) < 0.2))
    mask = np.arange(12) < generator.integers(6, 13, rows)[:, None]
    return {
        "input_ids": torch.tensor(np.where(mask, ids, 1)),
        "attention_mask": torch.tensor(mask).long(),
        "labels": torch.tensor(labels),
    }


@pytest.mark.parametrize("positions", ["f2+l2", "all"])
def test_an_encoder_with_a_head_learns_to_classify_and_is_loaded_with_its_head(positions, tmp_path):
    """All of an encoder's input is prompt; the new head is trained whole and saved beside the adapter."""
    model = get_peft_model(encoder(), ReftConfig(rank=4, positions=positions, init="identity", task_type="SEQ_CLS"))
    steps = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], lr=1e-2)
    before = numbers(model)
    for _ in range(40):
        steps.zero_grad()
        model(**classified()).loss.backward()
        steps.step()
    assert all(not torch.equal(value, before[name]) for name, value in numbers(model).items())
    model.eval()
    with torch.no_grad():
        found = model(**classified())
    assert (found.logits.argmax(-1) == classified()["labels"]).float().mean() > 0.9
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(encoder(), tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(loaded(**classified()).logits, found.logits)


def test_two_skills_of_one_adapter_are_trained_apart_and_work_together():
    """Each skill makes one token likelier after every prompt; switched on together, both are."""
    model = adapted(
        rank=4, layers=[2], positions="l1", init="identity", subspaces={"one": [0, 2], "two": [2, 4]}
    ).train()
    steps = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], lr=1e-2)
    inputs, wanted = batch(), {"one": 11, "two": 29}
    ends = inputs["labels"].ne(-100).long().argmax(1) - 1
    for step in range(60):
        name = ("one", "two")[step % 2]
        steps.zero_grad()
        with model.base_model.subspaces(name):
            logits = model(**inputs).logits[torch.arange(3), ends]
        torch.nn.functional.cross_entropy(logits, torch.full((3,), wanted[name])).backward()
        steps.step()
    model.eval()
    base = likelihoods(golden_base(), batch(), ends, wanted, labels=False)
    for names in (("one",), ("two",), ("one", "two")):
        with model.base_model.subspaces(*names):
            found = likelihoods(model, inputs, ends, wanted)
        for name in wanted:
            gain = found[name] - base[name]
            assert (gain > 1.0) == (name in names), f"{names}: {name} gains {gain}"


def likelihoods(model, inputs, ends, wanted, *, labels=True):
    """Mean log-odds of each wanted token against the other tokens, right after the prompts."""
    inputs = inputs if labels else {name: value for name, value in inputs.items() if name != "labels"}
    with torch.no_grad():
        chances = model(**inputs).logits[torch.arange(3), ends].softmax(-1)
    return {name: float(torch.logit(chances[:, token]).mean()) for name, token in wanted.items()}
