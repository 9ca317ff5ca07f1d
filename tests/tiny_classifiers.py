"""Tiny real classifiers for tests: a folder as save_pretrained writes it, a checkpoint as Detoxify does."""

from pathlib import Path
from typing import Any

import torch
from tiny_models import SEED, tiny_tokenizer
from transformers import BertConfig, BertForSequenceClassification

#: The longest text in tokens that they read.
CONTEXT = 32


def tiny_classifier(folder: Path, labels: list[str], **options: Any) -> Path:
    """Saves a BERT classifier of 10 k parameters with its tokenizer."""
    torch.manual_seed(SEED)
    tokenizer = tiny_tokenizer(append_eos=False)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=CONTEXT, num_labels=len(labels), pad_token_id=0,
        id2label=dict(enumerate(labels)), label2id={name: i for i, name in enumerate(labels)},
        initializer_range=0.5, **options,
    )  # fmt: skip
    tokenizer.model_max_length = CONTEXT
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def detoxify_checkpoint(folder: Path, classes: list[str], model_type: str | None = None) -> Path:
    """Saves ``tiny.ckpt`` as Detoxify's authors do; configuration and tokenizer lie in ``folder/base``.

    Args:
        folder: Where.
        classes: Its labels.
        model_type: What the checkpoint says of where those come from; None: the folder's full path.
    """
    base = tiny_classifier(folder / "base", classes)
    model = BertForSequenceClassification.from_pretrained(base)
    arguments = {
        "model_type": model_type or str(base),
        "model_name": "BertForSequenceClassification",
        "tokenizer_name": "AutoTokenizer",
        "num_classes": len(classes),
    }
    (base / "model.safetensors").unlink()
    config = {"arch": {"args": arguments}, "dataset": {"args": {"classes": classes}}}
    torch.save({"config": config, "state_dict": model.state_dict()}, folder / "tiny.ckpt")
    return folder / "tiny.ckpt"
