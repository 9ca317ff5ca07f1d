"""Where each method's own loss ends in the table, against what its algebra predicts."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import lambertw

from rpo_bench.methods import METHODS
from rpo_bench.tabular.claims import EXACT_ROWS, Setting, claim_of
from rpo_bench.tabular.fixed_point import fixed_point
from rpo_bench.tabular.logged import Sampling, cells, log_responses, whole_groups
from rpo_bench.tabular.truth import Condition, Log, Truth, log_of, prepared, sampling_for, truth_of
from rpo_bench.tabular.world import World, kl, make_world, normalised, tilted
from trainers import DPO, DRO, KTO, QRPO, REBEL, RPO, SFT, UNA, AStarPO, Examples, OfflineMethod
from trainers.dpo import RewardAwareDPO

WORLD = make_world(0)
EXACT = Sampling(EXACT_ROWS, whole_groups(EXACT_ROWS, EXACT_ROWS))


def at(method: OfflineMethod, k: int | None, data: str = "on_policy", noise: float = 0.0) -> Truth:
    """The truth at K = k, or in the limit for None."""
    condition = Condition(data, method.strength, k or EXACT_ROWS, limit=k is None)
    sampling = sampling_for(method, WORLD, condition, noise, 512)
    logs = [log_of(method, WORLD, sampling, seed) for seed in range(1 if k is None else 2)]
    return truth_of(method, WORLD, condition, logs)


def end_of(method: OfflineMethod, examples: Examples, world: World = WORLD) -> tuple[np.ndarray, Setting]:
    """log π_θ on given data, and what the method's scaling made of the rewards."""
    rows = prepared(method, world, Log(EXACT, examples))
    rewards = (world.rewards - rows.reward_mean) / rows.reward_sd
    return fixed_point(method, rows, world).logps, Setting(world, EXACT, rewards)


@pytest.mark.parametrize(
    ("method", "k"),
    [(DRO(tau=0.5), 1), (REBEL(tau=0.5), 2)],
    ids=["dro", "rebel"],
)
@pytest.mark.parametrize("data", ["on_policy", "off_policy"])
def test_no_partition_to_estimate_means_the_optimum_at_any_k(method: OfflineMethod, k: int, data: str):
    """Their loss is exactly 0 at π*, whoever wrote the data: the fixed point is π* without noise."""
    truth = at(method, k, data)
    assert truth.reached
    assert truth.kl < 1e-5


@pytest.mark.parametrize(
    "method",
    [
        RPO(tau=0.5),
        RPO(tau=0.5, partition="leave_one_out"),
        RPO(tau=0.5, partition="reference_samples"),
        RPO(tau=0.5, partition="self_normalised"),
        AStarPO(tau=0.5),
        QRPO(tau=0.2),
        QRPO(tau=0.5, transform="log"),
    ],
    ids=str,
)
def test_a_consistent_partition_gives_the_optimum_in_the_limit(method: OfflineMethod):
    truth = at(method, None)
    assert truth.reached
    assert truth.objective_gap == pytest.approx(method.strength * truth.kl, abs=1e-9)


def test_log_mean_exp_is_biased_at_finite_k_and_less_so_the_more_responses():
    """log Ẑ is biased down, and holds the row's own reward."""
    kls = [at(RPO(tau=0.5), k).kl for k in (2, 8, 32)]
    assert kls[0] > 4 * kls[1] > 16 * kls[2] > 0.01


@pytest.mark.parametrize("data", ["on_policy", "off_policy"])
def test_with_one_response_log_mean_exp_never_leaves_the_reference(data: str):
    """K = 1: log Ẑ = r/τ, so the target (r − V̂)/τ is 0 for every row."""
    truth = at(RPO(tau=0.5), 1, data)
    assert truth.nearest.name == "π_ref"
    assert truth.reference_kl < 1e-8


def test_off_policy_the_weights_are_what_makes_rpo_right():
    right = at(RPO(tau=0.5, partition="self_normalised"), None, "off_policy")
    wrong = at(RPO(tau=0.5, partition="log_mean_exp"), None, "off_policy")
    assert right.reached
    assert wrong.kl > 0.1


def test_mean_log_probs_move_the_optimum_where_lengths_differ():
    """D/|y| = (r − V)/τ gives D = |y|(r − V)/τ: π* only when every response has one token."""
    method = RPO(tau=1.0, logp="mean")
    assert at(method, None).kl > 0.1
    world = dataclasses.replace(WORLD, lengths=np.ones_like(WORLD.lengths))
    logps, setting = end_of(method, log_responses(world, EXACT, 0), world)
    assert kl(logps, tilted(world.log_reference, setting.rewards, 1.0)) < 1e-5


def one_group_each(world: World, k: int) -> Examples:
    """The first k responses of every prompt, logged once."""
    prompts = len(world.rewards)
    return Examples(
        prompts=[[x] for x in range(prompts) for _ in range(k)],
        responses=[[y] * int(world.lengths[x, y]) for x in range(prompts) for y in range(k)],
        rewards=world.rewards[:, :k].ravel(),
        groups=np.repeat(np.arange(prompts), k),
    )


@pytest.mark.parametrize("one_token", [True, False])
def test_released_rpo_ends_at_its_softmax_over_the_logged_responses(one_token: bool):
    """t_i = l̄_ref(y_i) + r_i/τ − log Σ_j e^{l̄_ref(y_j) + r_j/τ}, so Σ e^{l̄_θ(y_i)} = 1 over the logged set.

    l̄_θ = t gives π_θ(y_i) = e^{|y_i| t_i}: with one token each all mass lies on the logged responses.
    """
    k, tau, world = 6, 2.0, WORLD
    if one_token:
        world = dataclasses.replace(WORLD, lengths=np.ones_like(WORLD.lengths))
    method = dataclasses.replace(RPO.released(), tau=tau)
    logps, setting = end_of(method, one_group_each(world, k), world)
    lengths, logged = world.lengths[:, :k], logps[:, :k]
    target = normalised(world.log_reference[:, :k] / lengths + setting.rewards[:, :k] / tau)
    np.testing.assert_allclose(logged / lengths, target, atol=4e-3)
    np.testing.assert_allclose(np.exp(logged / lengths).sum(axis=1), 1.0, atol=4e-3)
    outside = 1 - np.exp(logged).sum(axis=1)
    assert (outside < 4e-3).all() if one_token else (outside > 0.1).all()


def test_released_rpo_does_not_see_the_reward_of_a_lone_response():
    """K = 1: L = ½ l̄_θ², the same for any rewards."""
    logps = []
    for sign in (1.0, -1.0):
        world = dataclasses.replace(WORLD, rewards=sign * WORLD.rewards)
        examples = log_responses(world, Sampling(1, whole_groups(1, 64)), 0)
        logps.append(end_of(RPO.released(), examples, world)[0])
    np.testing.assert_allclose(logps[0], logps[1], atol=1e-6)


def test_unas_fixed_point_is_a_lambert_function():
    """Stationary: π_ref (r/τ − D) = C π with C = E_{π_ref}(r/τ − D). With w = π/π_ref: log w + C w = r/τ.

    So w = W(C e^{r/τ})/C, and C is what makes π add up to 1; C > 0 where V* > 0. At C = 0 it would be π*.
    """
    tau = 0.5
    logps, setting = end_of(UNA(tau=tau), log_responses(WORLD, EXACT, 0))
    reference, checked = np.exp(WORLD.log_reference), 0
    for x, rewards in enumerate(setting.rewards):
        tilt = np.exp(rewards / tau)
        if reference[x] @ tilt <= 1:
            continue

        def excess(c: float, x: int = x, tilt: np.ndarray = tilt) -> float:
            return float(reference[x] @ (lambertw(c * tilt).real / c)) - 1

        c = brentq(excess, 1e-9, 100)
        np.testing.assert_allclose(np.exp(logps[x]), reference[x] * lambertw(c * tilt).real / c, atol=1e-5)
        checked += 1
    assert checked >= 1


def test_one_value_for_all_prompts_is_no_ones_value():
    """DRO-P's V is the batch mean of r − τD; V*(x) differs between prompts, so its residuals stay."""
    assert at(DRO.batch_mean(), 1).kl > 0.1
    same = dataclasses.replace(
        WORLD,
        reference_counts=np.repeat(WORLD.reference_counts[:1], 3, axis=0),
        rewards=np.repeat(WORLD.rewards[:1], 3, axis=0),
    )
    logps, setting = end_of(DRO.batch_mean(), log_responses(same, EXACT, 0), same)
    assert kl(logps, tilted(same.log_reference, setting.rewards, 1.0)) < 1e-5


def test_two_strengths_in_a_star_po_are_not_one_optimum():
    """V* under β₁ isn't the value of the problem that β₂ poses."""
    assert at(AStarPO(tau=0.5, value_tau=0.5), None).kl < 1e-5
    assert at(AStarPO(tau=0.5, value_tau=1.0), None).kl > 0.05


def test_sft_is_the_best_of_k_of_the_data():
    assert at(SFT(k=1), 1).kl < 1e-4
    truth = at(SFT(k=4), 16)
    assert truth.claim == "best of k logged responses"
    assert truth.reached


def test_kto_ends_at_the_reference_among_desirable_responses():
    """Its value saturates: every desirable response gains alike, whatever its reward or β."""
    for beta in (0.2, 0.5):
        truth = at(KTO(beta=beta), None)
        assert truth.claim is None
        assert truth.nearest.name == "π_ref among responses above the mean"
        assert truth.nearest.distance < 5e-3


def test_dpo_finds_the_reward_behind_bradley_terry_preferences_unless_pairs_are_picked_by_it():
    """best_worst of two is a comparison; of eight it is a choice that exaggerates the margin."""
    assert at(DPO(beta=0.5), 2, noise=1.0).kl < 0.02
    assert at(DPO(beta=0.5), 8, noise=1.0).kl > 0.2


def rounds(method: OfflineMethod) -> Truth:
    condition = Condition("rollouts", method.strength, method.samples)
    sampling = sampling_for(method, WORLD, condition, 0.0, 512)
    return truth_of(method, WORLD, condition, [log_of(method, WORLD, sampling, 0)])


@pytest.mark.parametrize(
    "method",
    [
        DRO(tau=0.5, rounds=3),
        DRO(tau=0.5, rounds=3, reference="previous"),
        REBEL(tau=0.5, rounds=3),
        REBEL(tau=0.5, rounds=3, reference="previous"),
        RewardAwareDPO(beta=0.5, rounds=3),
    ],
    ids=["dro", "dro, previous", "rebel", "rebel, previous", "reward-aware-dpo"],
)
def test_rounds_end_at_the_optimum_against_either_reference(method: OfflineMethod):
    """Rows of the policy itself, with corrected rewards where the reference moves: still π_ref e^{r/τ}."""
    assert rounds(method).kl < 1e-5


def test_rpo_in_rounds_is_biased_by_few_samples_and_less_so_against_the_previous_policy():
    """Weights π_ref/π_t waste samples; the previous policy's own need none."""
    weighted, own = rounds(RPO(tau=0.5, rounds=3)), rounds(RPO(tau=0.5, rounds=3, reference="previous"))
    assert 0.002 < weighted.kl < 0.03
    assert own.kl < 0.004
    more = rounds(RPO(tau=0.5, rounds=3, samples=32))
    assert more.kl < weighted.kl / 2


def test_without_weights_z_would_be_of_the_policy_itself(monkeypatch):
    """Log-mean-exp over the policy's own samples takes them for the reference's."""
    method = RPO(tau=0.5, rounds=3, samples=32)
    weighted = rounds(method)
    monkeypatch.setattr("rpo_bench.tabular.rounds.in_rounds", lambda method: method)
    assert rounds(method).kl > max(0.01, 3 * weighted.kl)


def test_dpo_has_no_optimum_when_preferences_never_err():
    truth = at(DPO(beta=0.2), 2)
    assert truth.claim is None
    assert not truth.at_rest


@pytest.mark.parametrize(
    "method",
    [
        RewardAwareDPO(beta=0.5),
        RewardAwareDPO(beta=0.4, pairing="all", reward_label=2.0),
        DPO(beta=0.5, objective="squared", reward_margin=1.0, pairing="adjacent"),
    ],
    ids=["labels", "labels twice as sure", "squared margins"],
)
@pytest.mark.parametrize("data", ["on_policy", "off_policy"])
def test_pairs_that_know_their_rewards_find_the_optimum_whoever_wrote_the_data(method, data):
    """β (D_w − D_l) = η (r_w − r_l) for every pair has one solution: π_ref e^{η r/β}."""
    truth = at(method, 4, data)
    assert truth.reached
    assert truth.kl < 1e-5


@pytest.mark.parametrize(
    "name", ["simpo", "ln-dpo", "cdpo", "r-dpo", "dpop", "dpo-sft", "orpo", "slic", "bco"]
)
def test_members_of_the_family_without_a_known_optimum_claim_none(name):
    for noise in (0.0, 1.0):
        setting = Setting(WORLD, Sampling(2, whole_groups(2, 8), noise=noise), WORLD.rewards)
        assert claim_of(METHODS.get(name)(), setting) is None


def test_ipo_finds_the_chance_to_beat_the_data():
    truth = at(METHODS.get("ipo")().with_strength(0.5), 2, noise=1.0)
    assert truth.claim == "π_ref·e^(p(y≻μ)/β)"
    assert truth.kl < 5e-3


def test_qrpo_is_held_to_the_optimum_for_quantiles():
    """R_q(y) = P_{π_ref}(r' < r) + ½ P(r' = r), up to the half row by which a rank is kept off 0 and 1."""
    setting = Setting(WORLD, EXACT, WORLD.rewards)
    claim = claim_of(QRPO(tau=0.3), setting)
    below = WORLD.rewards[:, None, :] < WORLD.rewards[:, :, None]  # (X, Y, Y'): y' is worse than y
    reference = np.exp(WORLD.log_reference)
    quantile = np.einsum("xyz,xz->xy", below, reference) + 0.5 * reference
    np.testing.assert_allclose(claim.rewards, quantile, atol=1e-3)


def test_noise_in_the_rewards_biases_the_partition_and_not_the_value_network():
    """E[r | y] is what regression sees; log-mean-exp is convex and takes noise for value."""
    assert at(DRO(tau=0.5), 1, noise=0.5).kl < 0.02
    assert at(RPO(tau=0.5, partition="reference_samples"), 64, noise=0.5).kl > 0.05


def test_cells_are_read_back_from_token_ids():
    examples = log_responses(WORLD, Sampling(2, 32), 0)
    xs, ys = cells(examples)
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (0, 2, 0, 23)
