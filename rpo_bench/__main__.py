"""``python -m rpo_bench``: the same as the console script."""

from rpo_bench.cli.main import main

if __name__ == "__main__":
    main()
