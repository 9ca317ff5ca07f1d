"""Descriptions of our ``evaluate`` modules."""

import datasets
import evaluate


def of_texts(description: str) -> evaluate.MetricInfo:
    """The description of a metric that takes only texts."""
    return evaluate.MetricInfo(
        description=description,
        citation="",
        inputs_description="predictions: a list of texts.",
        features=datasets.Features({"predictions": datasets.Value("string")}),
    )
