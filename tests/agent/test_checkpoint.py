"""Agents on disk: damage is found before anything of the file is used."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest
import torch
from support.agents import build

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.checkpoint import load_agent, save_agent
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.runs.seal import MARK

TINY = ("latent_dim=8", "enc_dim=8", "mlp_dim=8")


@pytest.fixture(scope="module")
def agent() -> POMPCAgent:
    return build("tdmpc2_equiv", EnvSpec(2, 1, 10), *TINY)


@pytest.fixture
def run(agent: POMPCAgent, tmp_path: Path) -> Path:
    """A run folder with a last agent and a best one."""
    for name, step in (("last", 60), ("best", 30)):
        save_agent(tmp_path / "checkpoints" / f"{name}.pt", agent, step)
    return tmp_path


def test_an_agent_comes_back(agent: POMPCAgent, run: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_agent(run, agent) == 60
        assert load_agent(run, agent, best=True) == 30
        assert load_agent(run / "checkpoints" / "best.pt", agent) == 30


def test_every_flipped_bit_is_refused_and_the_agent_stays(agent: POMPCAgent, run: Path) -> None:
    path = run / "checkpoints" / "best.pt"
    data, draws = path.read_bytes(), random.Random(0)
    before = {name: value.clone() for name, value in agent.world_model.state_dict().items()}
    bits = draws.sample(range(8 * len(data)), 40)
    mark = 8 * (len(data) - 80)
    bits += draws.sample(range(mark, mark + 8 * len(MARK)), 10)  # which hides the checksum
    for bit in bits:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        refused = ""
        try:
            load_agent(run, agent, best=True)
        except ValueError as error:
            refused = str(error)
        assert f"{path} is damaged" in refused, f"bit {bit} went unnoticed"
    after = agent.world_model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_file_of_an_earlier_version_loads_and_says_so(agent: POMPCAgent, tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    old = {"format": "mppi_zoo.agent", "version": 1, "step": 7, "agent": agent.state_dict()}
    torch.save(old, path)
    with pytest.warns(UserWarning, match=r"old\.pt was written by an earlier version") as said:
        assert load_agent(path, agent) == 7
    assert len(said) == 1


def test_a_best_agent_elsewhere_is_not_read(agent: POMPCAgent, run: Path, tmp_path: Path) -> None:
    best, elsewhere = run / "checkpoints" / "best.pt", tmp_path.parent / "elsewhere.pt"
    best.rename(elsewhere)
    best.symlink_to(elsewhere)
    with pytest.raises(ValueError, match="lies outside its folder"):
        load_agent(run, agent, best=True)
    assert load_agent(best, agent) == 30  # where the user names the file, the link is followed


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"format": "mppi_zoo.agent", "version": 2}, "format version 2"),
        ({"format": "mppi_zoo.agent"}, "format version None"),
        ({"format": "mppi_zoo.agent", "version": 1, "step": 0, "agent": 3}, "does not fit"),
        ([1, 2], "neither a checkpoint of mppi_zoo"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*earlier version")
def test_other_contents_are_refused(agent: POMPCAgent, tmp_path: Path, content, reason) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=reason):
        load_agent(tmp_path / "x.pt", agent)
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.pt is damaged, not a checkpoint"):
        load_agent(tmp_path / "text.pt", agent)
