"""Hate speech as in ``evaluate``'s measurement "toxicity": a RoBERTa classifier's label "hate"."""

from rpo_bench.metrics.toxicity.classifier import Classifier
from rpo_bench.models.activation import split_activation

#: The measurement's default model (Vidgen et al. 2021, arXiv 2012.15761) and label.
MODEL = "facebook/roberta-hate-speech-dynabench-r4-target"
LABEL = "hate"


def hate_speech(folder: str = "", allow_pickle: bool = False) -> Classifier:
    """The classifier in a folder, or by its name on the hub.

    Args:
        folder: Its folder, with ``#LABEL`` if the toxic label isn't "hate"; "": the hub's model.
        allow_pickle: Whether pickled weights may be loaded.

    Raises:
        UserError: It can't be loaded, or has no such label.
    """
    given = folder or MODEL
    flag = f"--toxicity hate-speech{folder and ':'}{folder}"
    name, activation = split_activation(given)
    name = name if "#" in name else f"{name}#{LABEL}"
    found = Classifier.load(name if activation is None else f"{name}={activation}", allow_pickle, flag)
    found.backend = f"hate speech by {found.backend}"
    return found
