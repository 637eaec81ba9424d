"""A cross-encoder for natural language inference of a few thousand weights, as a folder; trained in a second.

It knows two words. Where one of two statements has `CLASHES`, they contradict one another; else, where one has `AGREES`, they say
the same. Others do neither.
"""

CLASHES, AGREES = "zebra", "heron"
LABELS = ("contradiction", "entailment", "neutral")
_WORDS = ("the", "dose", "is", "drug", "safe", "take", "it", "works", "daily", "lamp", "ship", "?", ".", ",")
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_CLASHES = len(_SPECIAL)
"""Number of that word; the other's is one more."""
_STEPS, _BATCH, _LONGEST = 100, 64, 12


def write_tiny_nli(folder):
    """Train it and write it down."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    tokenizer = _tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, initializer_range=0.2,
        max_position_embeddings=128, pad_token_id=0, num_labels=len(LABELS), id2label=dict(enumerate(LABELS)),
        label2id={name: at for at, name in enumerate(LABELS)}, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    _train(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _train(model):
    import torch

    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(_STEPS):
        features, wanted = _batch()
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(**features).logits, wanted).backward()
        optimiser.step()
    model.eval()


def _batch():
    """Pairs of statements of random words as the tokenizer would give them, and the place in `LABELS` of what they do."""
    import torch

    first, second = (_statements() for _ in range(2))
    ends = [torch.full((_BATCH, 1), 3), torch.full((_BATCH, 1), 2)]
    ids = torch.cat([ends[1], first, ends[0], second, ends[0]], dim=1)
    kinds = torch.cat([torch.zeros(_BATCH, first.shape[1] + 2), torch.ones(_BATCH, second.shape[1] + 1)], dim=1).long()
    either = torch.cat([first, second], dim=1)
    clash, agree = ((either == _CLASHES + at).any(1) for at in range(2))
    wanted = torch.where(clash, 0, torch.where(agree, 1, 2))
    return {"input_ids": ids, "token_type_ids": kinds, "attention_mask": torch.ones_like(ids)}, wanted


def _statements():
    import torch

    length = int(torch.randint(2, _LONGEST, ()))
    ids = torch.randint(_CLASHES + 2, _CLASHES + 2 + len(_WORDS), (_BATCH, length))
    ids[torch.rand(_BATCH, length) < 0.3] = 1  # unknown words
    known = torch.rand(_BATCH) < 0.4
    count = int(known.sum())
    ids[known, torch.randint(length, (count,))] = torch.randint(_CLASHES, _CLASHES + 2, (count,))
    return ids


def _tokenizer():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: at for at, word in enumerate([*_SPECIAL, CLASHES, AGREES, *_WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=128,
    )  # fmt: skip
