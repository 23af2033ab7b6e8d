"""Exports a trained agent as programs for plain torch: ``python -m mppi_zoo.export RUN_FOLDER``.

``policy.pt2``: observations [1, O] -> action [1, A] in [-1, 1].
``planner.pt2``: observations [1, O] and the last plan [R, 1, A] (zeros at the start of an episode;
R is H but where the planner keeps more) -> the action [1, A] without exploration noise, and the
plan for the next call. Its random draws come from torch's global generator, which
``torch.manual_seed`` seeds.

    policy = torch.export.load("policy.pt2").module()
    action = policy(obs)

Both raise a RuntimeError for an observation with NaN, infinity or an absurd number.
Plain torch does not check the files; :func:`load_program` does.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.deploy.controller import load
from mppi_zoo.deploy.observations import ABSURD
from mppi_zoo.runs import reader
from mppi_zoo.runs.outcome import DONE, Attempt, add_debug, conclude
from mppi_zoo.runs.seal import check_seal, write_sealed


class PolicyProgram(nn.Module):
    """The bare policy's deterministic action."""

    def __init__(self, agent: POMPCAgent):
        super().__init__()
        self.world_model, self.policy = agent.world_model, agent.policy

    def forward(self, obs: Tensor) -> Tensor:
        """obs [B, O] -> action [B, A]."""
        _refuse_unusable(obs)
        return self.policy.mode(self.world_model.encode(obs))


class PlannerProgram(nn.Module):
    """The planner with its networks; it acts as the agent does without exploration noise."""

    def __init__(self, execution: Execution):
        super().__init__()
        agent = execution.agent
        self.encoder = agent.world_model.encoder
        self.networks = nn.ModuleList(execution.refreshed_networks())  # what the model below calls
        self.draw, self.planner = agent.draw_plan_noise, agent.planner
        self.model = execution.planning_model()

    def forward(self, obs: Tensor, plan: Tensor) -> tuple[Tensor, Tensor]:
        """obs [B, O], the last plan [R, B, A] -> (action [B, A], plan [R, B, A])."""
        _refuse_unusable(obs)
        _refuse_unusable(plan)
        noise = self.draw(obs.shape[0], None)
        z = self.encoder(obs)
        result = self.planner.plan(z, self.model, noise, warm_start=plan, greedy=True)
        return result.action, result.warm_start


def _refuse_unusable(numbers: Tensor) -> None:
    """As :func:`mppi_zoo.deploy.observations.refuse_unusable`, within a program.

    A program cannot name the entry. On CUDA the check ends the process's use of the device.
    """
    torch.ops.aten._assert_async.msg(
        (numbers.abs() <= ABSURD).all(),
        f"the observation or the last plan holds NaN, infinity or a number beyond {ABSURD:g}: no "
        "action is chosen from it",
    )


@torch.no_grad()
def save(execution: Execution, folder: Path, states: int = 1) -> tuple[Path, Path]:
    """Write ``policy.pt2`` and ``planner.pt2``; returns their paths.

    Args:
        states: batch size of the programs, fixed at export.

    Raises:
        ValueError: if the agent is compiled, since only eager agents can be exported.
    """
    if execution.compiled:
        raise ValueError("the agent is compiled; call execution.uncompile() before exporting it")
    agent = execution.agent
    obs = torch.zeros(states, agent.spec.obs_dim, dtype=agent.dtype, device=agent.device)
    plan = obs.new_zeros(agent.planner.warm_rows, states, agent.spec.action_dim)
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "policy.pt2", folder / "planner.pt2"
    programs = (PolicyProgram(agent), (obs,)), (PlannerProgram(execution), (obs, plan))
    for path, (program, example) in zip(paths, programs, strict=True):
        buffer = io.BytesIO()
        torch.export.save(torch.export.export(program, example), buffer)
        write_sealed(path, lambda file, content=buffer: file.write(content.getbuffer()))
    return paths


def load_program(path: str | Path) -> torch.export.ExportedProgram:
    """A program that :func:`save` wrote, checked against its checksum before torch reads it.

    ``torch.export.load`` alone does not check it. It is not made for files of strangers: load only
    programs whose origin you trust.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or has no checksum, as those of earlier versions.
    """
    path = Path(path)
    real = path.resolve()
    with reader.open_file(real.parent, real.name) as file:
        if not check_seal(file, str(path)):
            raise ValueError(
                f"{path} has no checksum: it is damaged, or was exported by an earlier version; "
                "export it anew, or use torch.export.load, which checks nothing"
            )
        return torch.export.load(io.BytesIO(file.read()))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m mppi_zoo.export", allow_abbrev=False, description=__doc__
    )
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--out", type=Path, help="where to write; default: RUN/exported")
    parser.add_argument("--last", action="store_true", help="the last agent, not the best")
    parser.add_argument("--trust", action="store_true", help="import what the folder names")
    add_debug(parser)
    args = parser.parse_args(argv)

    def body(attempt: Attempt) -> int:
        execution = load(args.run, best=not args.last, imports=args.trust).execution
        attempt.begun = True
        for path in save(execution, args.out or reader.inside(args.run, "exported")):
            print(path)
        return DONE

    return conclude(body, debug=args.debug)


if __name__ == "__main__":
    sys.exit(main())
