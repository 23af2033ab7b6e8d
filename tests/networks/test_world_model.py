"""The world model's encoder is a factory that the configuration can replace."""

import gin
import pytest
import torch
from gymnasium import spaces
from support.agents import build, random_batch
from torch import nn

from mppi_zoo.core.types import EnvSpec, ObsEntry, ObsSpec
from mppi_zoo.envs.spec import observation_spec
from mppi_zoo.networks.encoder import vector_encoder
from mppi_zoo.networks.world_model import WorldModel

ENTRIES = spaces.Dict(
    {"image": spaces.Box(0.0, 1.0, (1, 4, 4)), "speed": spaces.Box(-1.0, 1.0, (3,))}
)
SPEC = EnvSpec(19, 2, 50, obs=observation_spec(ENTRIES))
IMAGES = EnvSpec(48, 2, 50, obs=ObsSpec((3, 4, 4), "uint8", (ObsEntry("obs", (3, 4, 4)),)))


class Convolving(nn.Module):
    """Convolves the entry "image" and joins it with the entry "speed"."""

    def __init__(self, obs, width, latent_dim, out_norm):
        super().__init__()
        self.obs = obs
        self.image = nn.Conv2d(1, width, 4)
        self.speed = nn.Linear(3, width)
        self.out = nn.Sequential(nn.Mish(), nn.Linear(2 * width, latent_dim), out_norm)

    def forward(self, obs):
        parts = self.obs.split(obs)
        image = self.image(parts["image"].flatten(0, -4)).view(*obs.shape[:-1], -1)
        return self.out(torch.cat([image, self.speed(parts["speed"])], -1))


@gin.register
def convolving_encoder(obs, enc_dim, layers, latent_dim, out_norm):
    keys = [entry.key for entry in obs.entries]
    if keys != ["image", "speed"]:
        raise ValueError(f"convolving_encoder got the entries {keys}; expected image and speed")
    return Convolving(obs, enc_dim, latent_dim, out_norm)


def test_the_default_encoder_keeps_its_parameters_names():
    model = WorldModel(EnvSpec(3, 1, 50), latent_dim=16, enc_dim=8, mlp_dim=8, num_enc_layers=3)
    shapes = {n: tuple(p.shape) for n, p in model.named_parameters() if n.startswith("encoder.")}
    assert {n: s for n, s in shapes.items() if n.endswith("weight") and ".ln." not in n} == {
        "encoder.0.weight": (8, 3),
        "encoder.1.weight": (8, 8),
        "encoder.2.weight": (16, 8),
    }


def test_the_default_encoder_reads_a_dictionary_as_one_vector():
    torch.manual_seed(0)
    plain = WorldModel(EnvSpec(19, 2, 50), latent_dim=16, enc_dim=8, mlp_dim=8)
    torch.manual_seed(0)
    entries = WorldModel(SPEC, latent_dim=16, enc_dim=8, mlp_dim=8)
    obs = torch.randn(5, 19)
    assert torch.equal(plain.encode(obs), entries.encode(obs))


def test_an_encoder_from_outside_learns_from_the_entries():
    agent = build("tdmpc2_equiv", SPEC, "WorldModel.encoder=@convolving_encoder")
    encoder = agent.world_model.encoder
    assert isinstance(encoder, Convolving)
    batch = random_batch(SPEC)
    generator = torch.Generator().manual_seed(0)
    before = {name: p.detach().clone() for name, p in encoder.named_parameters()}
    losses = []
    for step in range(30):
        weights = agent.objective.lam.weights(step)
        metrics = agent.update(batch, weights, agent.draw_update_noise(batch, generator))
        losses.append(float(metrics["model_loss"]))
    assert losses[-1] < 0.9 * losses[0]
    assert all(not torch.equal(p, before[name]) for name, p in encoder.named_parameters())


def test_an_encoder_from_outside_plans():
    agent = build("tdmpc2_equiv", SPEC, "WorldModel.encoder=@convolving_encoder")
    obs = torch.randn(2, SPEC.obs_dim, dtype=agent.dtype)
    plan = agent.act(obs, agent.draw_plan_noise(2, torch.Generator().manual_seed(0)))
    assert plan.action.shape == (2, 2) and torch.isfinite(plan.action).all()


def test_encoders_refuse_what_they_cannot_encode():
    with pytest.raises(
        ValueError, match=r"shape \(3, 4, 4\); expected vectors.*WorldModel.encoder"
    ):
        WorldModel(IMAGES, latent_dim=16)
    with pytest.raises(ValueError, match="expected image and speed"):
        build("tdmpc2_equiv", EnvSpec(19, 2, 50), "WorldModel.encoder=@convolving_encoder")
    assert vector_encoder(SPEC.obs, 8, 2, 16, nn.Identity())(torch.zeros(2, 19)).shape == (2, 16)
