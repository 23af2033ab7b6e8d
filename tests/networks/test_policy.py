"""The policy's entropy terms against quadrature."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from support.objectives import SPEC, log_stds, quadrature, vectors
from torch import Tensor
from torch.distributions import Normal

from mppi_zoo.core.types import NetworkSizes
from mppi_zoo.networks.policy import (
    SquashedGaussian,
    scaled_entropy,
    squashed_entropy,
    textbook_entropy,
)


@given(mean=vectors, log_std=log_stds)
def test_textbook_entropy_averages_to_the_entropy_of_the_action(
    mean: Tensor, log_std: Tensor
) -> None:
    # of a squashed Gaussian: the entropy before the squash plus E ln(1 - a^2)
    head = SquashedGaussian(NetworkSizes(3, SPEC.action_dim, 8), (-12.0, 4.0)).double()
    nodes, shares = quadrature(1, 60)
    z = torch.zeros(len(nodes), 3, dtype=torch.float64)
    last = list(head.net)[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.cat([mean, torch.atanh((log_std + 4) / 8)]))
        sample = head.sample(z, nodes.expand(-1, 2))
    base = Normal(mean, log_std.exp()).entropy().sum()
    log_det = torch.log(1 / torch.cosh(mean + log_std.exp() * nodes).square() + 1e-6).sum(-1)
    expected = float(base + (shares * log_det).sum())
    assert float((shares * textbook_entropy(sample)).sum()) == pytest.approx(expected, abs=1e-6)


def test_only_the_entropy_after_the_squashing_falls_where_actions_saturate() -> None:
    head = SquashedGaussian(NetworkSizes(3, 2, 8)).double()
    noise, last = torch.randn(500, 2, dtype=torch.float64), list(head.net)[-1]
    assert isinstance(last, torch.nn.Linear)
    means = []
    for mean in (0.0, 4.0):
        with torch.no_grad():
            last.weight.zero_()
            last.bias.copy_(torch.tensor([mean, mean, 0.5, 0.5]))
            sample = head.sample(torch.zeros(500, 3, dtype=torch.float64), noise)
            torch.testing.assert_close(squashed_entropy(sample), 2 * textbook_entropy(sample))
            means.append([float(h(sample).mean()) for h in (scaled_entropy, squashed_entropy)])
    (scaled, squashed), (scaled_there, squashed_there) = means
    assert scaled_there == pytest.approx(scaled)
    assert squashed_there < squashed - 5
