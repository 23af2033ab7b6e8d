"""Exported programs: loaded by plain torch, without the package, they give the agent's numbers."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.agents import build_execution

from mppi_zoo.core.types import EnvSpec
from mppi_zoo.deploy import export

# run where mppi_zoo cannot be imported
PLAIN = """
import sys, torch
sys.modules["mppi_zoo"] = None
for folder in sys.argv[1:]:
    obs, plan = torch.load(folder + "/inputs.pt")
    policy = torch.export.load(folder + "/policy.pt2").module()
    planner = torch.export.load(folder + "/planner.pt2").module()
    results = [policy(obs)]
    for seed in range(2):
        torch.manual_seed(seed)
        action, plan = planner(obs, plan)
        results += [action, plan]
    torch.save(results, folder + "/results.pt")
"""

CASES = [  # member, planning precision, whether episodes terminate
    ("tdmpc2_equiv", "SamePrecision", False),
    ("bmpc_equiv", "SamePrecision", True),
    ("tdmpc2_equiv", "BFloat16Hidden", False),
]


def exported(folder: Path, member: str, precision: str, episodic: bool) -> list[torch.Tensor]:
    """Exports an agent, with inputs; what the agent itself makes of them."""
    spec = EnvSpec(5, 2, 100, episodic)
    params = ("iterations=2", "horizon=2", f"Execution.planning_precision=@{precision}")
    execution = build_execution(member, spec, *params, dtype=torch.float32)
    agent = execution.agent
    with torch.no_grad():  # constant rewards and values would make all candidates alike
        for net in (agent.world_model.reward_net, agent.critic.online):
            list(net.parameters())[-2].normal_(0.0, 0.5)
    obs, plan = torch.randn(1, 5), torch.zeros(2, 1, 2)
    export.save(execution, folder)
    torch.save((obs, plan), folder / "inputs.pt")
    expected = [agent.policy_action(obs)]
    for seed in range(2):
        torch.manual_seed(seed)
        result = execution.act(obs, agent.draw_plan_noise(1, None), warm_start=plan, greedy=True)
        plan = result.mean
        expected += [result.action, plan]
    return expected


@pytest.mark.slow
def test_plain_torch_gives_the_agents_numbers(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(len(CASES))]
    expected = [exported(folder, *case) for folder, case in zip(folders, CASES, strict=True)]
    command = [sys.executable, "-c", PLAIN, *map(str, folders)]  # one process: torch loads slowly
    subprocess.run(command, check=True, cwd=tmp_path)
    for case, folder, references in zip(CASES, folders, expected, strict=True):
        for ours, reference in zip(torch.load(folder / "results.pt"), references, strict=True):
            torch.testing.assert_close(
                ours, reference, rtol=1e-4, atol=1e-4, msg=lambda text, case=case: f"{case}: {text}"
            )


def test_a_compiled_agent_is_refused(tmp_path: Path) -> None:
    execution = build_execution("tdmpc2_equiv", EnvSpec(5, 2, 100))
    execution.compile()
    with pytest.raises(ValueError, match="uncompile"):
        export.save(execution, tmp_path)


def test_a_damaged_program_is_refused(tmp_path: Path) -> None:
    obs = exported(tmp_path, "tdmpc2_equiv", "SamePrecision", False)[0]
    path = tmp_path / "policy.pt2"
    program = export.load_program(path).module()
    inputs, _ = torch.load(tmp_path / "inputs.pt")
    torch.testing.assert_close(program(inputs), obs)
    data, draws = path.read_bytes(), random.Random(0)
    for bit in draws.sample(range(8 * len(data)), 20):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        refused = ""
        try:
            export.load_program(path)
        except ValueError as error:
            refused = str(error)
        assert str(path) in refused, f"bit {bit} went unnoticed"
    with pytest.raises(FileNotFoundError):
        export.load_program(tmp_path / "absent.pt2")
