"""Published sizes: parameter counts (docs/method.md, section 2); one plan and one update of every
member."""

from __future__ import annotations

import pytest
import torch
from support.agents import MEMBERS, build, random_batch, update

from mppi_zoo.config import gin_config as config
from mppi_zoo.core.types import EnvSpec, NetworkSizes
from mppi_zoo.networks.critic import QCritic
from mppi_zoo.networks.policy import SquashedGaussian
from mppi_zoo.networks.world_model import WorldModel
from mppi_zoo.planning.gradient import GradientPlanner
from mppi_zoo.planning.mppi import MPPIPlanner

SPEC = EnvSpec(24, 6, 500)
COUNTS = {
    "scale/size1": 1_214_651,
    "scale/size5": 4_960_618,
    "scale/size19": 18_062_442,
    "scale/size48": 47_208_298,
    "scale/size317": 312_595_417,
}


@pytest.mark.parametrize("scale", COUNTS)
def test_parameter_counts(scale: str) -> None:
    """Without target networks, on the meta device: 317 million parameters cost no memory."""
    config.parse(["tdmpc2_equiv", scale])
    import gin

    model_class, critic_class, policy_class = (
        gin.get_configurable(part) for part in (WorldModel, QCritic, SquashedGaussian)
    )
    with torch.device("meta"):
        model = model_class(SPEC)
        sizes = NetworkSizes(model.latent_dim, SPEC.action_dim, model.mlp_dim)
        critic, policy = critic_class(sizes), policy_class(sizes)
    counted = (p for part in (model, critic, policy) for p in part.parameters() if p.requires_grad)
    assert sum(p.numel() for p in counted) == COUNTS[scale]


def test_bmpc_has_two_heads_of_state_values() -> None:
    assert build("bmpc_equiv", SPEC, small=False).parts.parameter_count() == 3_207_739


@pytest.mark.slow
@pytest.mark.parametrize("member", MEMBERS)
def test_plan_and_update_at_the_published_size(member: str) -> None:
    agent = build(member, SPEC, small=False, dtype=torch.float32)
    planner = agent.planner
    if isinstance(planner, MPPIPlanner):
        assert (planner.samples, planner.elites) == (512, 64)
    else:
        assert isinstance(planner, GradientPlanner) and planner.sequences == 5
    generator = torch.Generator().manual_seed(0)
    batch = random_batch(SPEC, batch=8, dtype=torch.float32)  # the published sizes are networks'
    figures = update(agent, batch, agent.draw_update_noise(batch, generator))
    assert all(torch.isfinite(figure) for figure in figures.values())
    result = agent.act(batch.obs[0, :1], agent.draw_plan_noise(1, generator))
    assert result.action.shape == (1, 6) and result.action.abs().max() <= 1
