"""A sentence-transformers model of a few thousand random weights, as a folder; its tokenizer knows letters of any script."""

TEXTS = [
    "query: passage: The capital of France is Paris. A cat sleeps on the warm stove, and nobody dares to move it.",
    "Bees make honey. All work and no play makes a dull boy. number stands here cat stove bee law And more follows.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. Das Wasser ist kalt und der Weg ist weit.",
    "עברית נכתבת מימין לשמאל",
    "天気がいいから、散歩しましょう。今日は寒いです。",
    "القطة تنام على الموقد الدافئ",
]
DIMENSION = 32


def write_tiny_encoder(folder, *, prompts=None, default_prompt=None, include_prompt=True, window=64):
    """Write transformer, mean pooling and tokenizer. The same arguments give the same weights."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel

    tokenizer = _tokenizer()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=DIMENSION, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=window, pad_token_id=0,
    )  # fmt: skip
    BertModel(config).eval().save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"), max_seq_length=window)
    model = SentenceTransformer(
        modules=[transformer, Pooling(DIMENSION, "mean", include_prompt=include_prompt)],
        prompts=prompts,
        default_prompt_name=default_prompt,
        device="cpu",
    )
    model.save(str(folder / "model"))
    return folder / "model"


def _tokenizer():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    pieces = Tokenizer(models.BPE(unk_token="[UNK]"))
    # As multilingual models do: letters of all scripts, and what nobody sees is left out.
    pieces.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.BertNormalizer(handle_chinese_chars=False, lowercase=False),
            normalizers.Strip(),
        ]
    )
    pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    pieces.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False))
    pieces.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=pieces, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=64,
    )  # fmt: skip
