"""Exported programs: without the package they give its numbers, and refuse what it refuses."""

from __future__ import annotations

import hashlib
import json
import random
import runpy
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.agents import build_execution
from support.short_runs import made_once

from mppi_zoo.agent.execution import Execution
from mppi_zoo.cli import main as run
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.deploy import export
from mppi_zoo.deploy.actions import ActionSpace
from mppi_zoo.runs import folder as run_folder

# run where mppi_zoo cannot be imported
PLAIN = """
import sys, torch
sys.modules["mppi_zoo"] = None
for folder in sys.argv[1:]:
    obs, plan, last = torch.load(folder + "/inputs.pt")
    policy = torch.export.load(folder + "/policy.pt2").module()
    planner = torch.export.load(folder + "/planner.pt2").module()
    results = [policy(obs, last)[0]]
    for seed in range(2):
        torch.manual_seed(seed)
        action, plan, refused = planner(obs, last, plan)
        results += [action, plan]
    torch.save(results, folder + "/results.pt")
"""

# run where torch cannot be imported
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = sys.modules["mppi_zoo"] = None
import numpy as np, onnxruntime
folder, given = sys.argv[1], dict(np.load("inputs.npz"))
outcome = {}
for name in ("policy", "planner"):
    session = onnxruntime.InferenceSession(f"{folder}/{name}.onnx")
    names = [entry.name for entry in session.get_inputs()]
    outcome[name], *_, outcome["refused"] = session.run(None, {n: given[n] for n in names})
np.savez("outcome.npz", **outcome)
"""

CASES = [  # member, planning precision, whether episodes terminate
    ("bmpc_equiv", "SamePrecision", True),
    ("tdmpc2_equiv", "BFloat16Hidden", False),
]


EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ACTIONS = ActionSpace([-3.0, 0.1], [3.0, 0.7])


def native(action: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(ACTIONS.native(action.numpy()))


def exported(folder: Path, member: str, precision: str, episodic: bool) -> list[torch.Tensor]:
    """Exports an agent, with inputs; what the agent itself makes of them."""
    spec = EnvSpec(5, 2, 100, episodic)
    params = ("iterations=1", "horizon=2", f"Execution.planning_precision=@{precision}")
    execution = build_execution(member, spec, *params, dtype=torch.float32)
    agent = execution.agent
    with torch.no_grad():  # constant rewards and values would make all candidates alike
        for net in (agent.world_model.reward_net, agent.critic.online):
            list(net.parameters())[-2].normal_(0.0, 0.5)
    obs, plan, last = torch.randn(1, 5), torch.zeros(2, 1, 2), torch.zeros(1, 2)
    export.save(execution, ACTIONS, folder)
    torch.save((obs, plan, last), folder / "inputs.pt")
    expected = [native(agent.policy_action(obs))]
    for seed in range(2):
        torch.manual_seed(seed)
        result = execution.act(obs, agent.draw_plan_noise(1, None), warm_start=plan, greedy=True)
        plan = result.mean
        expected += [native(result.action), plan]
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


def test_of_a_gradient_planner_there_is_the_policy(tmp_path: Path) -> None:
    execution = build_execution("dream_mpc", EnvSpec(5, 2, 100), "horizon=2")
    names = [path.name for path in export.save(execution, ACTIONS, tmp_path)]
    assert names == ["policy.pt2", "export.json"]


def test_a_compiled_agent_is_refused(tmp_path: Path) -> None:
    execution = build_execution("tdmpc2_equiv", EnvSpec(5, 2, 100))
    execution.compile()
    with pytest.raises(ValueError, match="uncompile"):
        export.save(execution, ACTIONS, tmp_path)


SMALL = ("iterations=1", "horizon=2")
LOW, HIGH = ACTIONS.low.astype(np.float32), ACTIONS.high.astype(np.float32)
NUMBERS = st.floats(width=32) | st.sampled_from([np.nan, np.inf, -np.inf, 1e30])
OBSERVATIONS = arrays(np.float32, (4, 5), elements=NUMBERS)


@pytest.fixture(scope="module")
def held(of_all_workers: Path) -> tuple[Path, Execution]:
    """Programs of all kinds that hold the last action, and their agent; exported once for all."""
    execution = build_execution("tdmpc2_equiv", EnvSpec(5, 2, 100), *SMALL, dtype=torch.float32)
    with torch.no_grad():  # constant rewards and values would make all candidates alike
        for net in (execution.agent.world_model.reward_net, execution.agent.critic.online):
            list(net.parameters())[-2].normal_(0.0, 0.02)
    options: dict[str, Any] = {"fallback": "hold", "onnx": True}
    folder = made_once(
        of_all_workers / "held", lambda out: export.save(execution, ACTIONS, out, **options)
    )
    return folder, execution


def sessions(folder: Path) -> tuple[Any, Any]:
    runtime = pytest.importorskip("onnxruntime")
    names = ("policy.onnx", "planner.onnx")
    return tuple(runtime.InferenceSession(folder / name) for name in names)


def noise_of(execution: Execution, states: int) -> dict[str, np.ndarray]:
    noise = execution.agent.draw_plan_noise(states, torch.Generator().manual_seed(states))
    return {f"noise_{k}": v.numpy() for k, v in noise._asdict().items() if v is not None}


def test_no_program_acts_on_what_is_not_finite_nor_leaves_the_bounds(held) -> None:
    folder, execution = held
    programs = [
        torch.export.load(folder / f"{name}.pt2").module() for name in ("policy", "planner")
    ]
    runtime = sessions(folder)
    last = np.tile(np.array([[1.5, 0.7]], np.float32), (4, 1))
    plan, noise = np.zeros((2, 4, 2), np.float32), noise_of(execution, 4)
    inputs = [torch.from_numpy(x) for x in (last, plan)]

    @given(OBSERVATIONS)
    def check(obs: np.ndarray) -> None:
        bad = ~(np.abs(obs) <= 1e10)
        seen = torch.from_numpy(obs)
        named = {"obs": obs, "last": last}
        outcomes = [
            programs[0](seen, inputs[0]),
            programs[1](seen, *inputs),
            runtime[0].run(None, named),
            runtime[1].run(None, {**named, "plan": plan, **noise}),
        ]
        for action, *_, refused in outcomes:
            action = np.asarray(action)
            assert action.dtype == np.float32 and ((LOW <= action) & (action <= HIGH)).all()
            assert (np.asarray(refused) == np.where(bad.any(1), bad.argmax(1), -1)).all()
            assert (action[bad.any(1)] == last[0]).all()

    check()
    spoilt, obs = torch.full((2, 4, 2), torch.nan), torch.zeros(4, 5)
    action, kept, refused = programs[1](obs, inputs[0], spoilt)
    assert refused.tolist() == [5] * 4 and (action == inputs[0]).all() and not kept.any()
    held_none = programs[0](torch.full((4, 5), torch.nan), torch.full((4, 2), 9.0))[0]
    np.testing.assert_allclose(held_none, np.tile([[0.0, 0.1]], (4, 1)))  # 0 where bounds allow


def test_the_onnx_programs_give_the_packages_numbers_without_torch(held, tmp_path: Path) -> None:
    folder, execution = held
    sessions(folder)
    agent, states = execution.agent, 1000
    obs, plan = torch.randn(states, 5), torch.rand(2, states, 2) * 2 - 1
    noise = noise_of(execution, states)
    named = {"obs": obs.numpy(), "last": np.zeros((states, 2), np.float32)}
    given = {**named, "plan": plan.numpy(), **noise}
    np.savez(tmp_path / "inputs.npz", allow_pickle=False, **given)
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH, folder], check=True, cwd=tmp_path)
    outcome = np.load(tmp_path / "outcome.npz")
    drawn = agent.draw_plan_noise(states, torch.Generator().manual_seed(states))
    planned = execution.act(obs, drawn, warm_start=plan, greedy=True)
    for name, expected in (("policy", agent.policy_action(obs)), ("planner", planned.action)):
        np.testing.assert_allclose(outcome[name], native(expected), rtol=0, atol=1e-5)
    assert (outcome["refused"] == -1).all()
    facts = json.loads((folder / "export.json").read_text())
    assert [entry["name"] for entry in facts["noise"]] == list(noise)
    for entry in facts["noise"]:
        shape = [states if size == "batch" else size for size in entry["shape"]]
        assert list(noise[entry["name"]].shape) == shape
        assert entry["distribution"] in ("normal", "exponential", "pairs")
    assert facts["action"]["low"] == ACTIONS.low.tolist()
    for name, checksum in facts["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == checksum


def test_the_controller_of_the_examples_acts(held, monkeypatch, capsys) -> None:
    pytest.importorskip("onnxruntime")
    folder, _ = held
    for arguments in (["--steps", "3"], ["--steps", "3", "--policy"]):
        monkeypatch.setattr(sys, "argv", ["", str(folder), *arguments])
        runpy.run_path(str(EXAMPLES / "onnx_controller.py"), run_name="__main__")
        assert "3 actions, the last [" in capsys.readouterr().out


def test_programs_that_raise_do_so_in_torch(tmp_path: Path) -> None:
    execution = build_execution("tdmpc2_equiv", EnvSpec(5, 2, 100), *SMALL, dtype=torch.float32)
    policy, planner, _ = export.save(execution, ACTIONS, tmp_path)
    obs, last, plan = torch.zeros(1, 5), torch.zeros(1, 2), torch.zeros(2, 1, 2)
    programs = [torch.export.load(path).module() for path in (policy, planner)]
    assert torch.isfinite(programs[1](obs, last, plan)[0]).all()
    obs[0, 2] = torch.nan
    for program, inputs in zip(programs, ((obs, last), (obs, last, plan)), strict=True):
        with pytest.raises(RuntimeError, match="NaN, infinity or a number beyond 1e\\+10"):
            program(*inputs)


def test_a_damaged_program_is_refused(tmp_path: Path) -> None:
    obs = exported(tmp_path, "tdmpc2_equiv", "SamePrecision", False)[0]
    path = tmp_path / "policy.pt2"
    program = export.load_program(path).module()
    inputs, _, last = torch.load(tmp_path / "inputs.pt")
    action = program(inputs, last)[0]
    torch.testing.assert_close(action, obs)
    assert not action.requires_grad
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


def test_a_folder_without_an_agent_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export.main([str(tmp_path / "absent")]) == 2
    assert "no folder" in capsys.readouterr().err
    run.main(["--gin", "tdmpc2_equiv", "--gin", "debug", "--task", "toy:point", "--show"])
    config = capsys.readouterr().out
    run_folder.create(
        tmp_path / "run",
        member="tdmpc2_equiv",
        task="toy:point",
        seed=1,
        command_line=[],
        operative_gin=config,
        facts={"spec": asdict(EnvSpec(2, 2, 25, False))},
    )
    assert export.main([str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert "checkpoint" in error and str(tmp_path / "run") in error
