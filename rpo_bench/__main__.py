"""``python -m rpo_bench`` and the console script: the command line, from its first import on."""

import sys

from rpo_bench.cli.stopping import is_interrupt, keep_interrupts, stop
from rpo_bench.shadows import ShadowedError
from rpo_bench.terminal.visible import visible_lines


def main() -> None:
    """Runs the command line."""
    keep_interrupts()
    try:
        from rpo_bench.cli.main import main as run

        run()
    except KeyboardInterrupt:
        stop()
    except ShadowedError as error:
        sys.stderr.write(f"{visible_lines(str(error))}\n")
        sys.exit(2)
    except RuntimeError as error:
        if is_interrupt(error):
            stop()
        raise


if __name__ == "__main__":
    main()
