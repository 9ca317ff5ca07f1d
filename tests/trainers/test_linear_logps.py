"""The head's log-probs in chunks: value and gradient of log_softmax, in every format."""

import pytest
import torch
from torch import Tensor, nn

from trainers.linear_logps import is_plain, linear_logps

TOKENS = torch.tensor([3, 0, 7, 3, 5])


def both(
    head: nn.Linear, temperature: float, rows: int
) -> tuple[tuple[Tensor, list[Tensor]], tuple[Tensor, list[Tensor]]]:
    """(log-probs, gradients) in chunks and at once; log-probs have different weights."""
    found = []
    for chunked in (True, False):
        hidden = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
        if chunked:
            logps = linear_logps(head, hidden, TOKENS, rows, temperature)
        else:
            every = (head(hidden).float() / temperature).log_softmax(-1)
            logps = every.gather(1, TOKENS[:, None])[:, 0]
        inputs = [hidden, *head.parameters()]
        grads = torch.autograd.grad((logps * torch.arange(1.0, 6.0)).sum(), inputs)
        found.append((logps.detach(), list(grads)))
    return found[0], found[1]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_it_is_log_softmax_with_its_gradient(bias: bool, temperature: float, rows: int):
    torch.manual_seed(0)
    head = nn.Linear(4, 9, bias=bias)
    (logps, grads), (expected, theirs) = both(head, temperature, rows)
    torch.testing.assert_close(logps, expected, atol=1e-6, rtol=1e-6)
    for own, their in zip(grads, theirs, strict=True):
        torch.testing.assert_close(own, their, atol=1e-5, rtol=1e-5)


def test_under_autocast_it_multiplies_in_16_bits_and_sums_in_32():
    torch.manual_seed(0)
    head = nn.Linear(4, 9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (logps, grads), (expected, theirs) = both(head, 1.0, 2)
    assert logps.dtype == torch.float32
    torch.testing.assert_close(logps, expected, atol=1e-5, rtol=1e-5)
    for own, their in zip(grads, theirs, strict=True):
        assert own.dtype == their.dtype == torch.float32
        assert (own - their).norm() < 0.02 * their.norm()


def test_large_logits_do_not_overflow():
    head = nn.Linear(1, 3, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1e4], [0.0], [-1e4]]))
    logps = linear_logps(head, torch.ones(2, 1), torch.tensor([0, 2]), 1, 1.0)
    assert logps.tolist() == [0.0, -2e4]


def test_only_a_linear_layer_by_itself_is_plain():
    head = nn.Linear(4, 9)
    assert is_plain(head)
    assert not is_plain(nn.Sequential(head))
    head.register_forward_hook(lambda *_: None)
    assert not is_plain(head)
