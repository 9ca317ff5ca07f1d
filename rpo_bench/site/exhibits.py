"""A section's exhibits in the order in which the page shows them."""

from collections.abc import Mapping

from rpo_bench.analysis.board import Section
from rpo_bench.site.exhibit import Exhibit
from rpo_bench.site.forest_plot import forest
from rpo_bench.site.improvement_plot import improvement_matrix
from rpo_bench.site.palette import Look
from rpo_bench.site.proxy_plot import proxy_against_gold
from rpo_bench.site.steps_plot import gain_over_steps
from rpo_bench.site.tuning_plot import tuning_curves


def exhibits(section: Section, looks: Mapping[str, Look], name: str) -> tuple[Exhibit, ...]:
    """The exhibits of a section, without those that have no data.

    Args:
        section: The section.
        looks: Every method's colour and marker.
        name: Prefix of the plots' element ids.
    """
    found = (
        proxy_against_gold(section, looks, f"{name}-pg"),
        forest(section, looks, f"{name}-fo"),
        improvement_matrix(section, f"{name}-pi"),
        gain_over_steps(section, looks, f"{name}-st"),
        tuning_curves(section, looks, f"{name}-tu"),
    )
    return tuple(one for one in found if one is not None)
