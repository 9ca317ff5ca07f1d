"""Trains tokenizers on the user's texts, for base models without the hub."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from rpo_bench.errors import UserError

Architecture = Literal["decoder", "encoder-decoder"]
TokenizerKind = Literal["bpe", "word", "character"]

PAD, EOS, UNK, BOS, SEP = "<pad>", "<eos>", "<unk>", "<bos>", "<sep>"
_DECODER_SPECIAL = (PAD, EOS, UNK, BOS, SEP)
_ENCODER_DECODER_SPECIAL = (PAD, EOS, UNK)
_BYTES = 256  # a byte-level vocabulary has all bytes, so it can encode any text
_CHARACTERS_PER_ENTRY = 250  # training characters per vocabulary entry; with fewer, entries are too rare
_SMALLEST, _LARGEST = 512, 8192


def train_tokenizer(
    texts: Sequence[str],
    architecture: Architecture,
    kind: TokenizerKind = "bpe",
    vocab_size: int | None = None,
) -> Any:
    """Trains a tokenizer whose post-processor adds the architecture's special tokens to prompts.

    The training sequence is ``tokenizer(prompt).input_ids``, then
    ``tokenizer(response, add_special_tokens=False).input_ids``, then the end-of-sequence id. A decoder's
    prompt becomes ``<bos> prompt <sep>``, so that no merge crosses the boundary. An encoder's becomes
    ``prompt <eos>``. Text that spells a special token is read as plain characters.

    Args:
        texts: Texts for the vocabulary.
        architecture: Decides the layout and the special tokens.
        kind: "bpe" is byte-level byte-pair encoding; "word" splits at spaces and punctuation; "character"
            gives every character of the texts an entry of its own.
        vocab_size: Entries, special tokens included; None sizes it to the data.

    Returns:
        A ``transformers.PreTrainedTokenizerFast``.

    Raises:
        UserError: The vocabulary is too small, or there is no text.
    """
    from transformers import PreTrainedTokenizerFast

    if not any(text.strip() for text in texts):
        raise UserError("The data has no text to train a tokenizer on.")
    special = _DECODER_SPECIAL if architecture == "decoder" else _ENCODER_DECODER_SPECIAL
    make = {"bpe": _byte_pairs, "word": _words, "character": _characters}[kind]
    backend = make(texts, special, vocab_size)
    backend.post_processor = _layout(architecture)
    named = {"pad_token": PAD, "eos_token": EOS, "unk_token": UNK}
    if architecture == "decoder":
        named |= {"bos_token": BOS, "sep_token": SEP}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **named,
        padding_side="left" if architecture == "decoder" else "right",
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,
    )


def _words(texts: Sequence[str], special: Sequence[str], vocab_size: int | None) -> Any:
    from tokenizers import decoders, pre_tokenizers

    # "▁" marks a word that follows a space, so that decoding gives the text back: "lives in the sea."
    split = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation("isolated")])
    return _whole_pieces(texts, special, vocab_size, split, decoders.Metaspace())


def _characters(texts: Sequence[str], special: Sequence[str], vocab_size: int | None) -> Any:
    from tokenizers import Regex, decoders, pre_tokenizers

    split = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return _whole_pieces(texts, special, vocab_size, split, decoders.Fuse())


def _whole_pieces(
    texts: Iterable[str], special: Sequence[str], vocab_size: int | None, split: Any, decoder: Any
) -> Any:
    """A vocabulary of the pieces from ``split``, most frequent first."""
    from tokenizers import Tokenizer, models, trainers

    tokenizer = Tokenizer(models.WordLevel(unk_token=UNK))
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoder
    size = vocab_size if vocab_size is not None else 1_000_000
    if size <= len(special):
        raise UserError(
            f"--vocab-size {size} is too small: it has no room besides {len(special)} special tokens."
        )
    trainer = trainers.WordLevelTrainer(vocab_size=size, special_tokens=list(special), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _byte_pairs(texts: Sequence[str], special: Sequence[str], vocab_size: int | None) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    size = vocab_size if vocab_size is not None else _suitable_size(texts)
    if size < _BYTES + len(special):
        raise UserError(
            f"--vocab-size {size} is too small: a byte-level vocabulary needs {_BYTES + len(special)} "
            "entries before its first merge."
        )
    tokenizer = Tokenizer(models.BPE(unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _suitable_size(texts: Sequence[str]) -> int:
    """A vocabulary size at which the rarest entries still occur a few dozen times."""
    wanted = sum(map(len, texts)) // _CHARACTERS_PER_ENTRY
    return min(max(wanted // 64 * 64, _SMALLEST), _LARGEST)


def _layout(architecture: Architecture) -> Any:
    from tokenizers import processors

    if architecture == "decoder":
        ids = [(token, _DECODER_SPECIAL.index(token)) for token in (BOS, SEP)]
        return processors.TemplateProcessing(
            single=f"{BOS} $A {SEP}", pair=f"{BOS} $A {SEP} $B", special_tokens=ids
        )
    ids = [(EOS, _ENCODER_DECODER_SPECIAL.index(EOS))]
    return processors.TemplateProcessing(single=f"$A {EOS}", pair=f"$A {EOS} $B {EOS}", special_tokens=ids)
