"""Measures the world as it is shipped, and prints it as tables for docs/tasks/countdown.md.

python -m tasks.countdown.describe
"""

from typing import Annotated

import typer

from tasks.building import one_thread
from tasks.countdown.expressions import read
from tasks.verifiable_report import report


def main(
    samples: Annotated[int, typer.Option(min=8, help="samples per held-out prompt")] = 32,
    seed: Annotated[int, typer.Option(min=0, help="of the sampling")] = 7,
) -> None:
    """Prints what the reference policy, the training rows and the oracle are like."""
    with one_thread():
        typer.echo(report("countdown", "kind", lambda text: read(text) is not None, samples, seed))


if __name__ == "__main__":
    typer.run(main)
