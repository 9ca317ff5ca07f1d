"""The squared loss that RPO, DRO and their kin share: ½ (r − V(x) − τ D(y))², for one V or another.

Its minimum over all policies, with V the optimal value, is π*(y|x) ∝ π_ref(y|x) e^{r/τ} (arXiv 2405.19107,
eq. 1–3). The methods differ in their estimator of V and in a constant factor.
"""

from torch import Tensor


def residual(log_ratio: Tensor, reward: Tensor, value: Tensor, tau: float) -> Tensor:
    """r − V(x) − τ D(y): what the optimal policy and value make zero; (B,).

    Args:
        log_ratio: D(y) = log π_θ − log π_ref of each response; (B,).
        reward: r(x, y); (B,).
        value: V(x) of each row's prompt, or one for all; (B,) or ().
        tau: KL strength, in units of reward per nat.
    """
    return reward - value - tau * log_ratio


def squared_loss(log_ratio: Tensor, reward: Tensor, value: Tensor, tau: float, scale: float = 1.0) -> Tensor:
    """scale · mean ½ (r − V − τ D)²; ().

    Its gradient coefficient is scale · τ · (r − V − τ D): with scale 1/τ that of DRO (eq. 8), with scale 1/τ²
    that of RPO.
    """
    return 0.5 * scale * residual(log_ratio, reward, value, tau).square().mean()
