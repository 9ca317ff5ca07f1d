"""Results whose samples a judge can compare, and pairs of them."""

from pathlib import Path

from results_factory import cell_spec, write_cell

from rpo_bench.data.row import Prompt
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.judge.protocol import Pair
from rpo_bench.results.samples import StoredSample


def write_judged(root: Path, texts: dict[str, list[str]]) -> Path:
    """Writes an output whose cells answered prompts p000, p001 … with the texts given; returns it."""
    for method, said in texts.items():
        spec = cell_spec(method, None if method == "reference" else 0.3)
        folder = write_cell(root / "results", spec)
        samples = [
            StoredSample(
                prompt_id=f"p{i:03}",
                prompt=f"question {i}",
                sample=0,
                text=text,
                finished=True,
                token_ids=(1,),
            )
            for i, text in enumerate(said)
        ]
        write_json_lines(folder / "samples.jsonl.gz", samples)
    return root


def pair(number: int, model: str, baseline: str) -> Pair:
    """A question with its two answers."""
    return Pair(
        question=f"p{number}/0",
        task="t",
        prompt=Prompt(prompt_id=f"p{number}", text=f"question {number}"),
        model="m",
        baseline="b",
        model_response=model,
        baseline_response=baseline,
    )
