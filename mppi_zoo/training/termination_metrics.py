"""What an evaluation tells of ends and of a policy that no longer learns, where episodes can end.

Only for tasks with terminations, so that the metrics of all others stay as they are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.training.evaluation import Episodes

NEAR_BOUND = 0.99  # share of the way of log sigma between its bounds


def visited(episodes: Episodes) -> tuple[np.ndarray, np.ndarray]:
    """Observations [n, O] that steps of the episodes led to, and whether each was an end [n]."""
    obs, ends = [], []
    for number, length in enumerate(episodes.lengths.tolist()):
        obs.append(episodes.obs[1 : length + 1, number])
        ends.append(np.arange(1, length + 1) == length)
        ends[-1] &= bool(episodes.terminated[number])
    return np.concatenate(obs), np.concatenate(ends)


@torch.no_grad()
def termination_metrics(agent: POMPCAgent, *episodes: Episodes) -> dict[str, float]:
    """The termination head against what happened, and how far the policy is from constant.

    The head is asked at encoded observations. ``termination_recall`` is absent where no episode
    ended.
    """
    head = agent.world_model.termination_net
    if head is None:
        return {}
    pairs = [visited(one) for one in episodes]
    obs, ends = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    z = agent.world_model.encode(agent.tensor(obs))
    probability = torch.sigmoid(head(z).squeeze(-1)).double().cpu().numpy()
    seen, found = probability > 0.5, {}
    if ends.any():
        found["termination_recall"] = float(seen[ends].mean())
    return found | {
        "termination_false_alarms": float(seen[~ends].mean()) if (~ends).any() else 0.0,
        "termination_predicted": float(probability.mean()),
        "termination_happened": float(ends.mean()),
        **_spread(agent, z),
    }


def _spread(agent: POMPCAgent, z: Tensor) -> dict[str, float]:
    dist, (low, high) = agent.policy.dist(z), agent.policy.log_std_bounds
    at_bound = torch.log(dist.std) > low + NEAR_BOUND * (high - low)
    return {
        "policy_std_at_bound": float(at_bound.double().mean()),
        "policy_action_spread": float(dist.mean.std(0, correction=0).mean()),
    }
