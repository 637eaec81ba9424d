"""Tokenizers of the tiny models: three kinds, trained on the sentences of the world, in Hugging Face form."""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.pre_tokenizers import PreTokenizer
from transformers import PreTrainedTokenizerFast

from client_kit.pocket.recipes import TokenizerKind

PAD, END, USER, ASSISTANT, UNKNOWN = "<pad>", "<end>", "<user>", "<assistant>", "<unknown>"
_SPECIAL = [PAD, END, USER, ASSISTANT, UNKNOWN]
_INSIDE = "##"
"""Marks a piece that continues a word."""

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<assistant>{{ message['content'] }}<end>"
    "{% else %}<user>{{ message['content'] }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def train_tokenizer(kind: TokenizerKind, vocabulary: int, texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer of at most `vocabulary` entries with padding, end of text and a chat template.

    The same texts give the same bytes in every process, and their order leaves no trace.
    """
    return PreTrainedTokenizerFast(
        tokenizer_object=_TRAINERS[kind](vocabulary, list(texts)),
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        extra_special_tokens=[USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def _byte_bpe(vocabulary: int, texts: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=_SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _metaspace_bpe(vocabulary: int, texts: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation(behavior="isolated")]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=_SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _wordpiece(vocabulary: int, texts: list[str]) -> Tokenizer:
    """WordPiece whose letters inside words are numbered before the training.

    Left to itself the library numbers them (`##a`, `##b`, ...) as it meets them, in a table whose order is another in
    every process, and breaks ties between merges by number. As special tokens of the training they get numbers in
    alphabetical order; the tokenizer that is given back knows them as ordinary entries again.
    """
    trained = _wordpiece_of({})
    numbered = [*_SPECIAL, *_continuations(trained.pre_tokenizer, texts)]
    trainer = trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=numbered, show_progress=False)
    trained.train_from_iterator(texts, trainer)
    tokenizer = _wordpiece_of(trained.get_vocab())
    tokenizer.add_special_tokens(_SPECIAL)
    return tokenizer


def _wordpiece_of(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=_INSIDE, cleanup=True)
    return tokenizer


def _continuations(pre_tokenizer: PreTokenizer, texts: list[str]) -> list[str]:
    """The letters that stand inside words, each as WordPiece writes it there."""
    words = {word for text in set(texts) for word, _ in pre_tokenizer.pre_tokenize_str(text)}
    return [_INSIDE + letter for letter in sorted({letter for word in words for letter in word[1:]})]


_TRAINERS = {"byte_bpe": _byte_bpe, "metaspace_bpe": _metaspace_bpe, "wordpiece": _wordpiece}
