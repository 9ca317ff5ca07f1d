"""Measures the world as it is shipped, and prints it as tables for docs/tasks/arithmetic.md.

python -m tasks.arithmetic.describe
"""

from typing import Annotated

import typer

from tasks.arithmetic.sums import read
from tasks.building import one_thread
from tasks.verifiable_report import report


def main(
    samples: Annotated[int, typer.Option(min=8, help="samples per held-out prompt")] = 32,
    seed: Annotated[int, typer.Option(min=0, help="of the sampling")] = 7,
) -> None:
    """Prints what the reference policies, the training rows and the oracle are like."""
    with one_thread():
        typer.echo(report("arithmetic", "carries", lambda text: read(text) is not None, samples, seed))


if __name__ == "__main__":
    typer.run(main)
