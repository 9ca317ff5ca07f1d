"""The published baselines of the project."""

from pathlib import Path


def stored_baselines() -> Path | None:
    """The folder of stored baselines: ``results`` here or in the repository; None without either."""
    import rpo_bench

    package = Path(rpo_bench.__file__).parent
    for folder in (Path("results"), package.parent / "results", package / "results_baselines"):
        if folder.is_dir() and next(folder.rglob("result.json"), None) is not None:
            return folder
    return None
