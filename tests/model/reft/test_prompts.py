"""Where the prompt ends, however the model is called. What cannot be known is refused."""

import pytest
import torch
from transformers import DynamicCache, GenerationConfig

from client_kit.errors import ConfigurationError, TrainingError
from tests.support.reft import adapted, batch, golden_base, left_padded

PROMPTS = torch.tensor([5, 4, 7])
"""Lengths in `batch()`."""

END = 2


@pytest.fixture(scope="module")
def model():
    return adapted()


def logits(model, **inputs):
    with torch.no_grad():
        return model(**inputs).logits


def greedy(model, inputs, **options):
    settings = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False, "pad_token_id": 0} | options
    return model.generate(**inputs, **settings)


def without_labels():
    return {name: value for name, value in batch().items() if name != "labels"}


def test_labels_and_stated_lengths_say_the_same(model):
    assert torch.equal(logits(model, **batch()), logits(model, **without_labels(), prompt_lengths=PROMPTS))
    others = logits(model, **without_labels(), prompt_lengths=PROMPTS - 1)
    assert not torch.equal(logits(model, **batch()), others)


@pytest.mark.parametrize("training", [True, False])
def test_without_labels_and_lengths_there_is_no_guess(model, training):
    model.train(training)
    with pytest.raises(TrainingError, match=r"cannot tell where the prompts end.*prompt_lengths"):
        model(**without_labels())
    model.eval()
    with model.disable_adapter():
        assert logits(model, **without_labels()).shape == (3, 9, 64)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [([5, 4, 10], "says 10 tokens for row 2, which has 9"), ([5, 4], "must be 3 numbers"), ([0, 4, 7], "1 or more")],
)
def test_lengths_that_cannot_be_are_refused(model, lengths, message):
    with pytest.raises(TrainingError, match=message):
        model(**without_labels(), prompt_lengths=lengths)


def test_text_without_a_prompt_is_refused(model):
    """Plain text, and conversations without an assistant mask: every token is supervised."""
    inputs = batch()
    inputs["labels"] = torch.where(inputs["attention_mask"] > 0, inputs["input_ids"], -100)
    with pytest.raises(TrainingError, match=r"row 0 has no prompt .* not plain text.*assistant_only_loss=True"):
        model(**inputs)


def test_packed_rows_are_refused(model):
    ids, numbers = torch.randint(3, 64, (1, 8)), torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3]])
    labels = torch.tensor([[-100, -100, 5, 6, -100, -100, 7, 8]])
    with pytest.raises(TrainingError, match=r"packed or padding-free.*packing=False"):
        model(input_ids=ids, position_ids=numbers, labels=labels)


def test_a_mask_that_does_not_say_where_prompts_begin_is_refused(model):
    with pytest.raises(TrainingError, match=r"padding mask of shape \(rows, 9\)"):
        model(**(batch() | {"attention_mask": torch.ones(3, 1, 9, 9)}))


def test_only_positions_of_the_prompt_are_edited(model):
    """Answers see edited prompts; padding and answers themselves pass through the first edited block untouched."""
    seen = {}

    def keep(_, __, output):
        seen["edited"] = output

    handle = model.base_model.model.model.layers[0].register_forward_hook(keep)
    base = golden_base()(**without_labels(), output_hidden_states=True).hidden_states[1]
    logits(model, **batch())
    handle.remove()
    changed = ((seen["edited"] - base).abs().amax(-1) > 1e-6).int().tolist()
    assert changed == [[1, 1, 0, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1, 1, 0, 0]]


@pytest.mark.parametrize("positions", ["f2+l2", "l1", "all"])
def test_answers_do_not_depend_on_the_padding_beside_them(positions):
    model, inputs = adapted(positions=positions), left_padded()
    together = greedy(model, inputs)[:, 7:].tolist()
    for row, answer in enumerate(together):
        real = inputs["attention_mask"][row].bool()
        alone = greedy(model, {"input_ids": inputs["input_ids"][row][None, real]})
        assert alone[0, int(real.sum()) :].tolist() == answer


@pytest.mark.parametrize(
    "options",
    [
        {"use_cache": False},
        {"cache_implementation": "static"},
        {"prefill_chunk_size": 3},
        {"past_key_values": DynamicCache()},
    ],
    ids=lambda options: next(iter(options)),
)
def test_every_way_of_caching_gives_the_same_answers(model, options):
    assert greedy(model, left_padded(), **options).tolist() == greedy(model, left_padded()).tolist()


def test_beams_and_samples_see_the_edits_of_their_prompt(model):
    inputs = left_padded()
    beams = greedy(model, inputs, num_beams=3, num_return_sequences=2)
    for row in range(3):
        alone = {name: value[row : row + 1] for name, value in inputs.items()}
        assert (
            greedy(model, alone, num_beams=3, num_return_sequences=2).tolist() == beams[2 * row : 2 * row + 2].tolist()
        )
    nearly_greedy = greedy(model, inputs, do_sample=True, temperature=1e-4, num_return_sequences=2)
    assert nearly_greedy[::2].tolist() == nearly_greedy[1::2].tolist() == greedy(model, inputs).tolist()


def test_generation_equals_scoring_with_stated_lengths(model):
    inputs = left_padded()
    answer = greedy(model, inputs)
    mask = torch.cat([inputs["attention_mask"], torch.ones(3, 6, dtype=torch.long)], dim=1)
    numbers = (mask.cumsum(1) - 1).clamp(min=0)
    scored = logits(
        model,
        input_ids=answer,
        attention_mask=mask,
        position_ids=numbers,
        prompt_lengths=inputs["attention_mask"].sum(1),
    )
    scored[..., END] = -torch.inf  # as min_new_tokens does
    assert scored[:, 6:-1].argmax(-1).tolist() == answer[:, 7:].tolist()


def test_a_loop_of_ones_own_states_the_lengths_at_every_step(model):
    ids, cache = left_padded()["input_ids"][2:], DynamicCache()
    answer = []
    step = ids
    for _ in range(6):
        scores = logits(model, input_ids=step, past_key_values=cache, prompt_lengths=[7])[:, -1:]
        scores[..., END] = -torch.inf
        step = scores.argmax(-1)
        answer.append(int(step))
    assert answer == greedy(model, {"input_ids": ids})[0, 7:].tolist()
    with pytest.raises(TrainingError, match="cannot tell where the prompts end"):
        model(input_ids=step, past_key_values=cache)


def test_an_answer_begun_already_is_no_prompt(model):
    ids = left_padded()["input_ids"][2:]
    begun = greedy(model, {"input_ids": ids})
    assert greedy(
        model, {"input_ids": begun[:, :9]}, prompt_lengths=[7], max_new_tokens=4, min_new_tokens=4
    ).tolist() == (begun.tolist())


def filled_cache():
    cache = DynamicCache()
    golden_base()(input_ids=torch.tensor([[5, 6]]), past_key_values=cache)
    return cache


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"assistant_model": "small"}, "assistant_model: drafts would be scored without the edits"),
        ({"prompt_lookup_num_tokens": 2}, "prompt_lookup_num_tokens"),
        ({"generation_config": GenerationConfig(prompt_lookup_num_tokens=2)}, "prompt_lookup_num_tokens"),
        ({"past_key_values": filled_cache}, "filled cache"),
        ({"cache_implementation": "paged"}, "continuous batching"),
    ],
)
def test_generation_that_would_lose_the_edits_is_refused(model, options, message):
    options = {name: value() if callable(value) else value for name, value in options.items()}
    with pytest.raises(TrainingError, match=message):
        model.generate(**left_padded(), **options)


@pytest.mark.parametrize(
    "method", ["generate_batch", "init_continuous_batching", "continuous_batching_context_manager"]
)
def test_continuous_batching_is_refused(model, method):
    with pytest.raises(TrainingError, match="lays prompts end to end in one row"):
        getattr(model, method)([[5, 6, 7]])
    with pytest.raises(TrainingError, match="packed"):
        model(input_ids=torch.tensor([[5, 6, 7]]), cu_seq_lens_q=torch.tensor([0, 2, 3]))


def test_padding_without_a_mask_and_embeddings_alone_are_refused(model):
    with pytest.raises(TrainingError, match="hold padding tokens; pass their attention_mask"):
        model.generate(left_padded()["input_ids"], generation_config=GenerationConfig(pad_token_id=0, eos_token_id=2))
    with pytest.raises(TrainingError, match="generates from input_ids"):
        model.generate(inputs_embeds=torch.zeros(1, 3, 32))


def test_a_failed_generation_leaves_the_model_as_it_was(model):
    before = logits(model, **batch())
    with pytest.raises(ValueError, match="max_new_tokens"):
        model.generate(**left_padded(), max_new_tokens=-1)
    with pytest.raises(TrainingError, match="cannot tell"):
        model(**without_labels())
    assert torch.equal(logits(model, **batch()), before)


def test_subspaces_are_switched_apart_and_together():
    """Two halves of one subspace: after one block, both together change a state by the sum of what each does."""
    model = adapted(rank=4, layers=[0], subspaces={"style": [0, 2], "facts": [2, 4]})
    tuner, states = model.base_model, {}

    def keep(_, __, output):
        states["now"] = output.detach()

    model.base_model.model.model.layers[0].register_forward_hook(keep)

    def after(*names):
        with tuner.subspaces(*names):
            logits(model, **batch())
        return states["now"]

    logits(model, **batch())
    both, nothing = states["now"], after()
    assert torch.equal(after("style", "facts"), both)
    assert torch.allclose(after("style") + after("facts") - nothing, both, atol=1e-6)
    assert not torch.allclose(after("style"), after("facts"), atol=1e-3)
    assert greedy(model, left_padded()).tolist() == greedy(model, left_padded()).tolist()
    with (
        pytest.raises(ConfigurationError, match="no subspace tone; the adapter has style, facts"),
        tuner.subspaces("tone"),
    ):
        pass


def test_training_one_subspace_leaves_the_others_numbers_alone():
    model = adapted(rank=4, subspaces={"style": [0, 2], "facts": [2, 4]}).train()
    with model.base_model.subspaces("style"):
        model(**batch()).loss.backward()
    layer = model.base_model.model.model.layers[0]
    for name in ("reft_W", "reft_b"):
        gradient = getattr(layer, name)["default"].grad
        assert gradient[:, :2].abs().max() > 0
        assert gradient[:, 2:].abs().max() == 0
