"""A Llama of a few thousand random weights with a tokenizer of words, as a folder: says nonsense, quickly."""

WORDS = [
    "the",
    "capital",
    "of",
    "a",
    "country",
    "is",
    "what",
    "name",
    "one",
    "river",
    "city",
    "tree",
    "bird",
    "fish",
    "red",
    "blue",
    "green",
    "in",
    "on",
    "and",
    "or",
]


CHAT_TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'user' %}<user> {{ m.content }} {% else %}<bot> {{ m.content }} <end> {% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<bot> {% endif %}"
)


_MARKS = ["<pad>", "<end>", "<unk>", "<user>", "<bot>"]


def tiny_tokenizer(*, chat_template=None, beginning=None, ending=None):
    """A tokenizer of words between blanks. beginning, ending: what it puts around every text, `<bos>` and `<end>`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [*_MARKS, *WORDS, *(["<bos>", "<think>", "</think>"])]
    vocabulary = {word: place for place, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    around = " ".join(filter(None, (beginning, "$A", ending)))
    marks = [(mark, vocabulary[mark]) for mark in ("<bos>", "<end>")]
    tokenizer.post_processor = processors.TemplateProcessing(single=around, special_tokens=marks)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>", unk_token="<unk>", bos_token="<bos>",
        chat_template=chat_template,
    )  # fmt: skip


def write_tiny_model(folder, *, chat_template=None, context=64, seed=0, width=32, tokenizer=None):
    """Write model and tokenizer. The same seed gives the same weights. vLLM takes a width of 64: heads of 32."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {word: place for place, word in enumerate([*_MARKS, *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = tokenizer or PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<end>", unk_token="<unk>", chat_template=chat_template
    )
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=context, pad_token_id=0, eos_token_id=1, bos_token_id=None, initializer_range=0.6,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
