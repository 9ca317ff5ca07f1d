"""The requests to lm-eval, and its stored results."""

from typing import Any

from pydantic import Field, FiniteFloat

from rpo_bench.results.schema import MetricValue
from rpo_bench.spec.settings import Frozen

#: Files of a result folder.
RESULTS_FILE = "lm_eval.json"
DOCS_FILE = "lm_eval_docs.jsonl.gz"

#: The key of a record's ``extra`` for the tasks that were run and their settings.
EXTRA = "lm_eval"

#: Prefix of these metrics' names.
SCORE, TAX = "lm_eval/", "alignment_tax/"

FLAG = "--lm-eval-tasks"

#: The parts of lm-eval's results that are stored, each a mapping by task.
PARTS = ("results", "configs", "versions", "n-shot", "higher_is_better", "n-samples")


class LmEvalRequest(Frozen):
    """Tasks and their settings, the same before and after training."""

    tasks: tuple[str, ...] = Field(min_length=1)
    limit: int | None = Field(None, ge=1, description="use only the first N documents of each")
    num_fewshot: int | None = Field(None, ge=0, description="None: the task's own number")
    batch_size: int = Field(32, ge=1, description="passed to HFLM; simple_evaluate only records it")

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that a task's numbers depend on besides the task and the model."""
        return self.model_dump(mode="json", include={"limit", "num_fewshot", "batch_size"})


class DocScore(Frozen):
    """A line of ``lm_eval_docs.jsonl.gz``: one document's score on one metric."""

    task: str
    metric: str = Field(description="lm-eval's name; with @FILTER where the filter isn't 'none'")
    doc_id: int
    doc_hash: str
    score: FiniteFloat

    @property
    def name(self) -> str:
        """The metric's name in a record."""
        return f"{SCORE}{self.task}/{self.metric}"

    @property
    def document(self) -> str:
        """The identity of a document, on which two checkpoints are paired."""
        return f"{self.task}/{self.doc_id}/{self.doc_hash}"


class Measured(Frozen):
    """lm-eval's results of one checkpoint.

    Attributes:
        parts: lm-eval's results without samples: ``PARTS``.
        docs: The documents' scores, for metrics that are means over documents.
        samples: Task → lm-eval's log of each document.
    """

    parts: dict[str, dict[str, Any]]
    docs: tuple[DocScore, ...]
    samples: dict[str, list[dict[str, Any]]] = Field(default_factory=dict)

    @property
    def tasks(self) -> list[str]:
        """The tasks that were run."""
        return sorted(self.parts["results"])


Metrics = dict[str, MetricValue]
