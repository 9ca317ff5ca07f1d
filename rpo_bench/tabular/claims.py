"""The policy that a method claims to estimate, computed exactly on a tabular problem."""

import dataclasses
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
from scipy.special import expit

from rpo_bench.stats.arrays import Floats
from rpo_bench.tabular.logged import Sampling, cells, log_responses, whole_groups
from rpo_bench.tabular.world import World, best_of, tilted
from trainers.objective import Method, OfflineMethod
from trainers.online import OnlineMethod
from trainers.pairwise import Pairwise
from trainers.sft import SFT

EXACT_ROWS = 1024  # of the one group that stands for K → ∞: all responses, each as often as it is likely


@dataclass(frozen=True)
class Setting:
    """The problem and data of a claim.

    Attributes:
        world: the tabular problem.
        sampling: how the method's data were logged.
        rewards: the problem's rewards, scaled like the method's; (X, Y).
    """

    world: World
    sampling: Sampling
    rewards: Floats


@dataclass(frozen=True)
class Claim:
    """The policy that a method is checked against.

    Attributes:
        text: the policy as a formula.
        logps: its log-probabilities; (X, Y).
        rewards: R of the objective E R − τ KL(π‖π_ref) that it maximises, (X, Y); None where there is none.
        tau: its τ.
    """

    text: str
    logps: Floats
    rewards: Floats | None = None
    tau: float | None = None


@singledispatch
def claim_of(method: Method, setting: Setting) -> Claim | None:
    """The claim of ``method``, or None if it makes none.

    A method whose strength is called ``tau`` claims π_ref e^{R/τ}, with R the rewards after its own
    ``transformed``. Other claims are registered by type, here or in a plug-in::

        @claim_of.register
        def _(method: MyMethod, setting: Setting) -> Claim: ...
    """
    if method.strength_name != "tau" or not isinstance(method, OfflineMethod):
        return None
    rewards = _transformed(method, setting)
    text = "π_ref·e^(r/τ)" if rewards is setting.rewards else "π_ref·e^(R/τ), R the transformed reward"
    return _tilt(text, rewards, method.strength, setting)


@claim_of.register
def _best_of_k(method: SFT, setting: Setting) -> Claim | None:
    """Best of k of the policy that wrote the data; not an optimum of a KL-regularised reward."""
    if method.rounds:
        return None
    k = min(method.k, setting.sampling.k)
    writer = setting.world.log_behaviour if setting.sampling.off_policy else setting.world.log_reference
    return Claim("best of k logged responses", best_of(k, writer, setting.world.rewards))


@claim_of.register
def _regularised(method: OnlineMethod, setting: Setting) -> Claim | None:
    """The optimum of E r − β KL(π‖π_ref), β the KL coefficient; none of other rewards, or with a bonus."""
    if method.reward_scaling != "none" or method.reward_clip is not None or method.uses_entropy:
        return None
    return _tilt("π_ref·e^(r/β)", setting.rewards, method.strength, setting)


@claim_of.register
def _of_pairs(method: Pairwise, setting: Setting) -> Claim | None:
    """DPO: the reward behind Bradley–Terry preferences. IPO: the chance to beat the data.

    Where labels or margins follow the rewards: the rewards. Other members of the family claim none.
    """
    world, noise = setting.world, setting.sampling.noise
    if method.score != "log_ratio" or any(getattr(method, name) for name in _BENDING):
        return None
    if scale := _reward_scale(method):
        text = "π_ref·e^(r/β)" if scale == 1 else f"π_ref·e^({scale:g}·r/β)"
        return _tilt(text, scale * setting.rewards, method.beta, setting)
    if method.reward_label or method.reward_margin or method.objective in ("hinge", "squared"):
        return None
    if method.objective == "sigmoid":
        if noise == 0.0:
            return None  # noise-free preferences have no finite optimum: margins grow without bound
        return _tilt("π_ref·e^(r_BT/β)", world.rewards / noise, method.beta, setting)
    if method.rounds:  # the data to beat are the policy's own
        return None
    gaps = world.rewards[:, :, None] - world.rewards[:, None, :]  # (X, Y, Y)
    wins = expit(gaps / noise) if noise > 0.0 else 0.5 * (1.0 + np.sign(gaps))
    writer = np.exp(world.log_behaviour if setting.sampling.off_policy else world.log_reference)
    return _tilt("π_ref·e^(p(y≻μ)/β)", np.einsum("xyz,xz->xy", wins, writer), method.beta, setting)


def usual_noise(method: Method) -> float:
    """The default noise of the observed rewards for a method.

    Preference losses assume noisy comparisons; regression uses the rewards directly.
    """
    if not isinstance(method, Pairwise):
        return 0.0
    return 0.0 if method.reward_label or method.reward_margin else 1.0


#: Options of the pairwise family under which a finite optimum has no closed form, or none exists.
_BENDING = ("target_margin", "label_smoothing", "length_penalty", "positive_penalty", "sft_weight")


def _reward_scale(method: Pairwise) -> float:
    """η of β (D_w − D_l) = η (r_w − r_l), which the loss asks of every pair; 0 where it asks for no such."""
    if method.objective == "sigmoid" and not method.reward_margin:
        return method.reward_label
    if method.objective == "squared" and not method.reward_label:
        return method.reward_margin
    return 0.0


def _tilt(text: str, rewards: Floats, tau: float, setting: Setting) -> Claim:
    return Claim(text, tilted(setting.world.log_reference, rewards, tau), rewards, tau)


def _transformed(method: OfflineMethod, setting: Setting) -> Floats:
    """The scaled rewards after the method's own transformation, given all of π_ref to rank among; (X, Y)."""
    world = dataclasses.replace(setting.world, rewards=setting.rewards)
    exact = Sampling(k=EXACT_ROWS, groups=whole_groups(EXACT_ROWS, EXACT_ROWS))
    examples = log_responses(world, exact, seed=0)
    changed = method.transformed(examples)
    if changed is examples:
        return setting.rewards
    xs, ys = cells(changed)
    rewards = np.empty_like(setting.rewards)
    rewards[xs, ys] = changed.rewards
    return rewards
