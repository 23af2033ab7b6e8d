"""Official TD-MPC2 checkpoints: loaded safely, with the outputs of their authors' program."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from support.agents import build
from support.goldens import PRECISION, Golden, check_plan

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.checkpoint import load_agent, size_macros
from mppi_zoo.agent.execution import Execution
from mppi_zoo.cli import main as run
from mppi_zoo.core.types import EnvSpec

SIZES = {
    "enc_dim": 256,
    "mlp_dim": 384,
    "latent_dim": 128,
    "num_enc_layers": 2,
    "critic_heads": 2,
}
FILES = ("tdmpc2_official_size1.pt", "tdmpc2_official_size1_oldkeys.pt")


def _agent(dtype: torch.dtype) -> POMPCAgent:
    params = [f"{name}={value}" for name, value in SIZES.items()]
    return build("tdmpc2_equiv", EnvSpec(24, 6, 500), *params, small=False, dtype=dtype)


@pytest.mark.parametrize("precision", list(PRECISION))
@pytest.mark.parametrize("name", FILES)
def test_outputs_are_the_authors_programs(goldens: Path, name: str, precision: str) -> None:
    golden = Golden(goldens, "tdmpc2_official_size1_expected", precision)
    agent = _agent(golden.dtype)
    assert size_macros(goldens / name) == SIZES
    assert load_agent(goldens / name, agent) == 0
    assert agent.parts.parameter_count() == 1_214_651
    model, critic = agent.world_model, agent.critic
    action = golden["in.action"]
    z = model.encode(golden["in.obs"])
    both = torch.cat([z, action], -1)
    golden.same(z, "z")
    golden.same(model.next(z, action), "next_z")
    golden.same(model.reward_net(both), "reward_logits")
    golden.same(model.reward(z, action), "reward")
    golden.same(critic.online(both), "q_logits")
    golden.same(critic.two_hot.decode(critic.online(both)), "q")
    golden.same(critic.target_net(both), "target_q_logits")
    golden.same(agent.policy.net(z), "pi.raw")
    sample = agent.policy.sample(z, golden["pi.eps"])
    golden.same(sample.action, "pi.action")
    golden.same(sample.mean, "pi.mean")
    golden.same(sample.log_prob_base - sample.squash, "pi.log_prob", 2e-6)
    for case in ("plan_t0_train", "plan_warm_eval"):
        check_plan(golden, Execution(agent), case)


def test_another_size_is_refused(goldens: Path) -> None:
    agent = build("tdmpc2_equiv", EnvSpec(24, 6, 500))
    with pytest.raises(ValueError, match=r"q\.0\.weight has shape \(2, 384, 134\), expected"):
        load_agent(goldens / FILES[0], agent)


class _Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("code from a checkpoint was executed",))


def test_code_in_a_file_is_not_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "evil.pt"
    with path.open("wb") as file:
        pickle.dump({"model": _Payload()}, file)
    with pytest.raises(ValueError, match=r"evil\.pt is damaged, not a checkpoint, or holds code"):
        load_agent(path, _agent(torch.float32))
    assert capsys.readouterr().out == ""


def test_multi_task_models_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mt30.pt"
    torch.save({"model": {"_task_emb.weight": torch.zeros(30, 96)}}, path)
    with pytest.raises(ValueError, match=r"_task_emb \(multi-task models\)"):
        load_agent(path, _agent(torch.float32))


def test_evaluated_from_the_command_line(goldens: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sizes come from the file: no scale needs to be named."""
    arguments = ["--gin", "tdmpc2_equiv", "--init-from", str(goldens / FILES[0]), "--eval"]
    arguments += ["--param", "eval_episodes=1", "--param", "EnvOptions.max_episode_steps=10"]
    arguments += ["--param", "samples=32", "--param", "elites=8", "--task", "dmc:walker-walk"]
    assert run.main(arguments) == 0
    out = capsys.readouterr().out
    assert "planner: return" in out and "over 1 episodes of 5 steps" in out
