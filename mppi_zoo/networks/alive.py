"""How a model's step goes on after its prediction that the episode may have ended.

A rule turns the termination head's logit into the factor on the discount, in [0, 1]; planners and
the model-based value targets see it (docs/method.md, section 4; docs/terminations.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

import torch
from annotated_types import Gt, Lt
from torch import Tensor

from mppi_zoo.core.registration import register

Alive = Callable[[Tensor], Tensor]  # logit of the probability of an end [...] -> factor [...]
Threshold = Annotated[float, Gt(0), Lt(1)]


@register
class HardCut:
    """1 where the predicted probability of an end is at most the threshold, else 0: TD-MPC2's rule.

    Args:
        threshold: on the probability.
    """

    def __init__(self, threshold: Threshold = 0.5):
        self.logit = math.log(threshold / (1 - threshold))

    def __call__(self, logit: Tensor) -> Tensor:
        """See :data:`Alive`."""
        return (logit <= self.logit).to(logit.dtype)


@register
class ExpectedAlive:
    """The predicted probability that the episode goes on, so that returns are expectations.

    It has a gradient, which the policy of a member with state values follows.
    """

    def __call__(self, logit: Tensor) -> Tensor:
        """See :data:`Alive`."""
        return torch.sigmoid(-logit)
