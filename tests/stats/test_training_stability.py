"""A steady run scores near zero; each kind of unsteadiness moves its own measure."""

import json

import numpy as np
import pytest

from rpo_bench.stats.training_stability import dispersion, max_drawdown, stability, worst_change


def log(**columns: object) -> list[dict]:
    steps = len(next(iter(columns.values())))
    return [{"step": i, **{name: values[i] for name, values in columns.items()}} for i in range(steps)]


def test_drawdown_by_hand():
    """1, 3, 2, 4, 1.5, 2: from the peak of 4 it falls to 1.5."""
    assert max_drawdown(np.array([1, 3, 2, 4, 1.5, 2])) == 2.5
    assert max_drawdown(np.array([1.0, 2.0, 3.0])) == 0
    assert max_drawdown(np.array([1.0])) is None


def test_the_worst_change_is_the_mean_of_the_largest_five_percent():
    """40 differences of which 5 % are 2: the rises of 3 and 1 have the mean 2."""
    differences = [0.0] * 38 + [3.0, 1.0]
    values = np.concatenate([[0.0], np.cumsum(differences)])
    assert worst_change(values) == pytest.approx(2.0)
    assert worst_change(-values) == 0
    assert worst_change(-values, either_way=True) == pytest.approx(2.0)
    assert worst_change(np.array([0.0, 5.0])) == 5
    assert worst_change(np.array([0.0])) is None


def test_dispersion_is_about_the_trend_and_not_the_trend_itself():
    """A straight line has none; normal noise about it has the normal's interquartile range, 1.349."""
    steps = np.arange(400.0)
    assert dispersion(0.001 * steps) == pytest.approx(0, abs=1e-9)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=400)
    around_line = dispersion(0.05 * steps + noise)
    assert around_line == pytest.approx(1.349, rel=0.15)
    assert dispersion(3 * (0.05 * steps + noise)) == pytest.approx(3 * around_line)
    assert dispersion(np.array([1.0, 2.0, 3.0])) is None


def test_gradient_spikes_are_counted_against_the_steps_before():
    norms = np.ones(104)
    norms[[50, 80]] = 6.0, 40.0
    found = stability(log(grad_norm=norms.tolist()))
    assert found["grad_spike_share"] == pytest.approx(2 / 100)  # the first four steps have no median yet
    assert found["grad_peak"] == 40
    norms[50] = 4.9
    assert stability(log(grad_norm=norms.tolist()))["grad_spike_share"] == pytest.approx(1 / 100)


def test_a_lower_probe_reward_is_the_drop():
    found = stability(log(probe_reward=[0.0, 0.5, 0.2, 0.6]))
    assert found["probe_worst_drop"] == pytest.approx(0.3)
    assert found["probe_max_drawdown"] == pytest.approx(0.3)


def test_probes_are_read_where_they_are():
    entries = [{"step": i, "loss": 1.0} for i in range(10)]
    entries[0]["probe_reward"], entries[9]["probe_reward"] = 1.0, 0.25
    assert stability(entries)["probe_max_drawdown"] == 0.75


def test_what_the_log_lacks_is_none_and_never_zero():
    found = stability(log(loss=[0.5, 0.4, 0.3, 0.2, 0.1]))
    assert found["diverged"] == 0
    assert found["loss_dispersion"] is not None
    for name in (
        "log_ratio_dispersion",
        "log_ratio_worst_jump",
        "probe_max_drawdown",
        "grad_spike_share",
        "grad_peak",
    ):
        assert found[name] is None
    assert set(stability([]).values()) == {None}


def test_a_diverged_run_is_flagged_and_the_rest_still_measured():
    found = stability(log(loss=[0.5, 0.4, 0.6, 0.2, None], grad_norm=[1.0, 1.0, 1.0, 1.0, None]))
    assert found["diverged"] == 1
    assert found["loss_worst_rise"] == pytest.approx(0.2)
    assert stability(log(loss=[1.0, 2.0]), diverged=True)["diverged"] == 1


def test_the_log_ratio_is_read_from_kl_where_the_log_calls_it_that():
    assert stability(log(kl=[0.0, 1.0, 0.5]))["log_ratio_worst_jump"] == 1.0
    assert stability(log(kl=[0.0, 1.0], log_ratio=[0.0, -3.0]))["log_ratio_worst_jump"] == 3.0


def test_entries_in_any_order_give_the_same_and_it_is_json():
    entries = log(loss=[3.0, 1.0, 2.0, 5.0], kl=[0.0, 0.1, 0.2, 0.3])
    assert stability(entries[::-1]) == stability(entries)
    json.dumps(stability(entries), allow_nan=False)
