"""The online objectives: hand-worked values, gradients at π_θ = π_old, and their relations."""

import dataclasses

import pytest
import torch

from trainers.errors import UserError
from trainers.grpo import CISPO, GRPO, GSPO
from trainers.online import Minibatch, OnlineMethod, Rollouts
from trainers.p3o import P3O, p3o_joint, p3o_separate
from trainers.popo import POPO
from trainers.ppo import PPO
from trainers.rloo import RLOO


def rollouts(seed: int = 0, rows: int = 4, steps: int = 5, groups: int = 2) -> Rollouts:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    mask = torch.arange(steps)[None, :] < torch.tensor([5, 3, 4, 2])[:rows, None]
    logps = torch.where(mask, -draw(rows, steps).abs(), 0.0)
    return Rollouts(
        rewards=draw(rows),
        groups=torch.arange(groups).repeat_interleave(rows // groups),
        mask=mask,
        behaviour_logps=logps,
        proximal_logps=logps,
        reference_logps=torch.where(mask, logps + 0.1 * draw(rows, steps), 0.0),
        finished=torch.ones(rows, dtype=torch.bool),
        age=torch.zeros(rows, dtype=torch.long),
        values=torch.where(mask, draw(rows, steps), 0.0),
    )


def minibatch(method: OnlineMethod, sampled: Rollouts, logps: torch.Tensor) -> Minibatch:
    advantages, returns = method.advantages(sampled)
    values = None if returns is None else sampled.values.clone().requires_grad_(True)
    tokens = int(sampled.mask.sum())
    return Minibatch(sampled, advantages, returns, logps, values, len(sampled), tokens, longest=8)


def policy_gradient(method: OnlineMethod, sampled: Rollouts) -> torch.Tensor:
    """−∂loss/∂log π of every token at π_θ = π_prox; (B, T)."""
    logps = sampled.proximal_logps.clone().requires_grad_(True)
    method.surrogate(minibatch(method, sampled, logps)).loss.backward()
    assert logps.grad is not None
    return -logps.grad


def test_grpo_starts_with_the_advantage_over_length_and_the_kl_pull():
    """−∂loss/∂log π_t = (A + β (π_ref/π − 1)) / (B |y|) at ρ = 1."""
    sampled, method = rollouts(), GRPO(kl_coef=0.3)
    advantages, _ = method.advantages(sampled)
    pull = 0.3 * ((sampled.reference_logps - sampled.proximal_logps).exp() - 1)
    lengths = sampled.mask.sum(1, keepdim=True)
    expected = torch.where(sampled.mask, (advantages + pull) / (4 * lengths), 0.0)
    torch.testing.assert_close(policy_gradient(method, sampled), expected)


@pytest.mark.parametrize(("loss_type", "divisor"), [("dr_grpo", 4 * 8), ("dapo", 14)])
def test_grpos_variants_divide_by_a_constant_or_by_all_tokens(loss_type: str, divisor: int):
    sampled, method = rollouts(), GRPO(kl_coef=0.0, loss_type=loss_type)  # type: ignore[arg-type]
    advantages, _ = method.advantages(sampled)
    torch.testing.assert_close(policy_gradient(method, sampled), advantages / divisor)


def test_rloo_starts_with_the_leave_one_out_advantage_of_the_penalised_reward():
    """Groups of two: A_1 = r̂_1 − r̂_2, on every token, over B."""
    sampled, method = rollouts(), RLOO(kl_coef=0.5)
    shaped = sampled.rewards - 0.5 * (sampled.proximal_logps - sampled.reference_logps).sum(1)
    first = shaped[0] - shaped[1]
    gradient = policy_gradient(method, sampled)
    torch.testing.assert_close(gradient[0], torch.where(sampled.mask[0], first / 4, 0.0))
    torch.testing.assert_close(gradient[1], torch.where(sampled.mask[1], -first / 4, 0.0))


@pytest.mark.parametrize("form", ["separate", "joint"])
def test_p3o_starts_with_half_the_difference(form: str):
    """∇J = (r̂_1 − r̂_2)/2 · (∇log π(y_1) − ∇log π(y_2)), mean over pairs, for both forms."""
    sampled, method = rollouts(), P3O(kl_coef=0.5, form=form)  # type: ignore[arg-type]
    shaped = sampled.rewards - 0.5 * (sampled.proximal_logps - sampled.reference_logps).sum(1)
    half = (shaped[::2] - shaped[1::2]) / 2
    expected = torch.stack([half, -half], dim=1).flatten()[:, None] / 2
    torch.testing.assert_close(policy_gradient(method, sampled), torch.where(sampled.mask, expected, 0.0))


@pytest.mark.parametrize("function", [p3o_separate, p3o_joint])
def test_p3o_is_antisymmetric_in_the_pair(function):
    """Swapping the two responses, with their rewards, changes nothing."""
    log_w = torch.tensor([[0.1, -0.3], [0.5, 0.2]])
    gap = torch.tensor([1.5, -0.7])
    torch.testing.assert_close(function(log_w, gap, 0.2), function(log_w.flip(1), -gap, 0.2))


def test_p3o_v1_by_hand_inside_the_clip():
    """w = (1.1, 0.9), gap 2: ½ (−2·0.9·1.1 + 2·1.1·0.9) = 0, gradient ∓w_1 w_2 for the two."""
    log_w = torch.tensor([[1.1, 0.9]]).log().requires_grad_(True)
    loss = p3o_separate(log_w, torch.tensor([2.0]), 0.2)
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert log_w.grad[0].tolist() == pytest.approx([-0.99, 0.99])


def test_p3o_v1_clips_the_others_ratio_at_a_tenth_and_ten_alone():
    """w = (1, 1.5), gap 2: the first has weight 1.5, beyond 1 + ε; the second may still come back: 1 · 1.5.

    w = (1, 20): the first has weight 10.
    """
    log_w = torch.tensor([[1.0, 1.5], [1.0, 20.0]]).log().requires_grad_(True)
    p3o_separate(log_w, torch.tensor([2.0, 2.0]), 0.2).sum().backward()
    assert log_w.grad[0].tolist() == pytest.approx([-1.5, 1.5])
    assert log_w.grad[1].tolist() == pytest.approx([-10.0, 20.0])


def test_p3o_v2_by_hand():
    """w = (1.1, 1), gap 2: weight 1.1, gradient ½ · 2 · 1.1 each way. w_1 w_2 = 40 counts as 10."""
    log_w = torch.tensor([[1.1, 1.0], [6.0, 6.5]]).log().requires_grad_(True)
    p3o_joint(log_w, torch.tensor([2.0, 2.0]), 0.2).sum().backward()
    assert log_w.grad[0].tolist() == pytest.approx([-1.1, 1.1])
    assert log_w.grad[1].tolist() == pytest.approx([-10.0, 10.0])


@pytest.mark.parametrize("function", [p3o_separate, p3o_joint])
def test_p3o_stops_where_the_clip_says(function):
    """A pair whose responses both moved the right way by more than ε has no gradient left."""
    log_w = torch.tensor([[0.3, -0.3]], requires_grad=True)
    function(log_w, torch.tensor([1.0]), 0.2).backward()
    assert log_w.grad[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("form", ["separate", "joint"])
def test_p3os_kl_is_the_current_policys(form: str):
    """r̂_1 − r̂_2 = (r_1 − r_2) − β (D_1 − D_2) at the policy as it is: where they balance, nothing pulls.

    β = 10: a pair that moved apart by (r_1 − r_2)/β, within the clip, is at rest.
    """
    sampled = dataclasses.replace(rollouts(), rewards=torch.tensor([0.5, 0.0, 0.0, 0.5], dtype=torch.float64))
    sampled = dataclasses.replace(sampled, reference_logps=sampled.proximal_logps)
    method = P3O(kl_coef=10.0, form=form)  # type: ignore[arg-type]
    first = torch.zeros_like(sampled.proximal_logps)
    first[:, 0] = torch.tensor([0.025, -0.025, -0.025, 0.025], dtype=torch.float64)
    logps = (sampled.proximal_logps + first).requires_grad_()
    method.surrogate(minibatch(method, sampled, logps)).loss.backward()
    assert logps.grad.abs().max() < 1e-9


@pytest.mark.parametrize("form", ["separate", "joint"])
def test_p3o_counts_the_rollouts_whose_gradient_the_clip_holds_back(form: str):
    sampled = dataclasses.replace(rollouts(), rewards=torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64))
    method = P3O(kl_coef=0.0, form=form)  # type: ignore[arg-type]
    moved = torch.zeros_like(sampled.proximal_logps)
    moved[:, 0] = torch.tensor([0.4, -0.4, -0.4, 0.4])  # the second pair went the wrong way
    output = method.surrogate(minibatch(method, sampled, sampled.proximal_logps + moved))
    assert output.logged["clip_fraction"].item() == pytest.approx(0.5)


def test_gspo_clips_sequences_by_their_ratio_per_token():
    """Two tokens moved by 0.3 and −0.1: s = e^{0.1} for both; beyond 1 + ε a good sequence is left alone."""
    sampled = rollouts()
    moved = torch.zeros_like(sampled.proximal_logps)
    moved[:, :2] = torch.tensor([0.3, -0.1])
    logps = sampled.proximal_logps + torch.where(sampled.mask, moved, 0.0)
    for clip, held in ((0.01, True), (1.0, False)):
        method = GSPO(kl_coef=0.0, clip_high=clip, clip_low=clip)
        of = minibatch(method, sampled, logps.clone().requires_grad_())
        method.surrogate(of).loss.backward()
        good = of.advantages[:, 0] > 0
        assert (of.logps.grad[good] == 0).all() == held
        lengths = sampled.mask.sum(1)
        ratio = ((0.3 - 0.1) / lengths).exp()
        expected = torch.where(sampled.mask, (ratio * of.advantages[:, 0] / lengths / 4)[:, None], 0.0)
        torch.testing.assert_close(-of.logps.grad[~good], expected[~good])


def test_cispo_limits_a_tokens_weight_and_keeps_its_gradient():
    """A first token moved by ln 8: weight 5 of 8; the others keep theirs. GC = weight · A over all tokens."""
    sampled = rollouts()
    moved = torch.zeros_like(sampled.proximal_logps)
    moved[:, 0] = torch.tensor(8.0).log()
    logps = (sampled.proximal_logps + moved).requires_grad_()
    method = CISPO(kl_coef=0.0)
    of = minibatch(method, sampled, logps)
    output = method.surrogate(of)
    output.loss.backward()
    weight = torch.ones_like(moved)
    weight[:, 0] = 5.0
    expected = torch.where(sampled.mask, weight * of.advantages / int(sampled.mask.sum()), 0.0)
    torch.testing.assert_close(-logps.grad, expected)
    assert output.logged["clip_fraction"].item() == pytest.approx(4 / int(sampled.mask.sum()))


def test_grpo_with_the_kl_in_its_reward_has_no_penalty_beside_it():
    """A = (r̂ − mean)/std of r̂ = r − β log π/π_ref, and nothing else."""
    sampled = rollouts()
    method, plain = GRPO(kl_coef=0.5, kl="reward"), GRPO(kl_coef=0.0)
    shaped = sampled.rewards - 0.5 * (sampled.proximal_logps - sampled.reference_logps).sum(1)
    expected = policy_gradient(plain, dataclasses.replace(sampled, rewards=shaped))
    torch.testing.assert_close(policy_gradient(method, sampled), expected)


def test_an_entropy_bonus_is_averaged_as_the_gain_is():
    """GRPO: −coef · mean over rollouts of the mean over their tokens; here 0.1 · mean of (1, 2, 3, 4)."""
    sampled = rollouts()
    of = minibatch(GRPO(), sampled, sampled.proximal_logps)
    entropies = torch.where(sampled.mask, torch.tensor([[1.0], [2.0], [3.0], [4.0]]), 9.0)
    plain = GRPO().surrogate(of).loss
    found = GRPO(entropy_coef=0.1).surrogate(dataclasses.replace(of, entropies=entropies)).loss
    assert (plain - found).item() == pytest.approx(0.25)


@pytest.mark.parametrize(
    "method", [GRPO(), GRPO(kl="reward"), GSPO(), CISPO(), RLOO(), P3O(), P3O(form="joint")], ids=repr
)
def test_shifting_a_prompts_rewards_changes_no_gradient(method: OnlineMethod):
    sampled = rollouts()
    shifted = dataclasses.replace(sampled, rewards=sampled.rewards + torch.tensor([5.0, 5, -2, -2]))
    torch.testing.assert_close(policy_gradient(method, shifted), policy_gradient(method, sampled))


def test_popo_is_grpo_when_nothing_is_replayed():
    sampled = rollouts()
    moved = sampled.proximal_logps + torch.where(sampled.mask, 0.05, 0.0)
    losses = [m.surrogate(minibatch(m, sampled, moved)).loss for m in (GRPO(), POPO())]
    torch.testing.assert_close(losses[0], losses[1])


def test_popo_weights_replayed_groups_by_proximal_over_behaviour():
    """π_prox/π_behav = e^{0.2} multiplies the gain; treated as on-policy it doesn't; the cap holds it."""
    sampled = rollouts()
    replayed = dataclasses.replace(
        sampled, behaviour_logps=sampled.proximal_logps - torch.where(sampled.mask, 0.2, 0.0)
    )
    plain = policy_gradient(GRPO(kl_coef=0.0), sampled)
    weight = torch.tensor(0.2, dtype=torch.float64).exp()
    torch.testing.assert_close(policy_gradient(POPO(kl_coef=0.0), replayed), weight * plain)
    naive = POPO(kl_coef=0.0, replay_as_on_policy=True)
    torch.testing.assert_close(policy_gradient(naive, replayed), plain)
    capped = POPO(kl_coef=0.0, weight_cap=1.1)
    torch.testing.assert_close(policy_gradient(capped, replayed), 1.1 * plain)


def test_ppos_token_rewards_put_the_reward_on_the_last_token():
    sampled, method = rollouts(), PPO(kl_coef=0.5)
    rewards = method.token_rewards(sampled)
    penalty = -0.5 * (sampled.proximal_logps - sampled.reference_logps)
    assert rewards[1, 2].item() == pytest.approx((penalty[1, 2] + sampled.rewards[1]).item())
    assert rewards[1, 0].item() == pytest.approx(penalty[1, 0].item())
    assert rewards[1, 3:].tolist() == [0.0, 0.0]


def test_ppos_gradient_is_the_whitened_advantage_over_all_tokens():
    sampled, method = rollouts(), PPO()
    advantages, _ = method.advantages(sampled)
    torch.testing.assert_close(policy_gradient(method, sampled), advantages / 14)


@pytest.mark.parametrize(
    "method", [GRPO(), GSPO(), CISPO(), RLOO(), P3O(), PPO(), POPO(loss_type="dapo")], ids=repr
)
def test_micro_batches_add_up(method: OnlineMethod):
    """The losses of two halves are the loss of the whole."""
    sampled = rollouts()
    logps = sampled.proximal_logps - torch.where(sampled.mask, 0.03, 0.0)
    whole = minibatch(method, sampled, logps)

    def half(rows: torch.Tensor) -> torch.Tensor:
        part = dataclasses.replace(
            whole,
            rollouts=sampled.take(rows),
            advantages=whole.advantages[rows],
            returns=None if whole.returns is None else whole.returns[rows],
            logps=logps[rows],
            values=None if whole.values is None else whole.values[rows],
        )
        return method.surrogate(part).loss

    parts = half(torch.tensor([0, 1])) + half(torch.tensor([2, 3]))
    torch.testing.assert_close(parts, method.surrogate(whole).loss)


def test_p3o_needs_pairs():
    with pytest.raises(UserError, match="even"):
        P3O(group_size=3)


@pytest.mark.parametrize("clip", [0.0, -1.0])
def test_a_clip_leaves_some_reward(clip: float):
    with pytest.raises(UserError, match="reward_clip is above 0"):
        P3O(reward_clip=clip)


@pytest.mark.parametrize(
    "make",
    [
        lambda: GRPO(filter_groups=True, reward_clip=1.0),
        lambda: POPO(reward_clip=1.0),
        lambda: RLOO(prompts="filtered", reward_clip=1.0),
    ],
)
def test_a_clip_may_not_undo_the_choice_of_groups(make):
    with pytest.raises(UserError, match="may make a group's rewards equal after groups were chosen"):
        make()


def test_a_critic_and_its_targets_are_in_the_same_units():
    with pytest.raises(UserError, match="in others: choose one of them"):
        PPO(critic_init="reward", reward_scaling="running")


@pytest.mark.parametrize("method", [GRPO, RLOO, POPO, P3O])
def test_a_group_of_one_has_nothing_to_be_compared_with(method):
    with pytest.raises(UserError, match="group_size is at least 2, not 1"):
        method(group_size=1)
