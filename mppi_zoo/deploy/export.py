"""Exports a trained agent as programs: ``python -m mppi_zoo.export RUN_FOLDER``.

``policy.pt2`` and ``planner.pt2`` run in plain torch, ``policy.onnx`` and ``planner.onnx`` (with
``--onnx``) in onnxruntime; ``export.json`` says all that a program around them must know. They take
any number of states B at once. docs/on_a_robot.md shows how to call them.

policy: observations [B, O] and the last actions [B, A] -> actions [B, A] in the environment's own
units, within its bounds; and refused [B], see :mod:`mppi_zoo.deploy.programs`.
planner: besides, the last plan [R, B, A] (zeros at the start of an episode; R is H but where the
planner keeps more) -> besides, the plan for the next call. It leaves out the exploration noise.
The draws of ``planner.pt2`` come from torch's global generator, which ``torch.manual_seed`` seeds;
those of ``planner.onnx`` are further inputs. Planners that take gradients cannot be exported: of
such an agent there is the policy alone.

Plain torch does not check the files; :func:`load_program` does.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from mppi_zoo.agent.execution import Execution
from mppi_zoo.deploy.actions import ActionSpace
from mppi_zoo.deploy.description import described, noise_inputs
from mppi_zoo.deploy.fallback import NAMED, Fallback, RaiseError, ZeroAction
from mppi_zoo.deploy.loading import load
from mppi_zoo.deploy.programs import Outside, PlannerProgram, PolicyProgram
from mppi_zoo.runs import folder as run_folder
from mppi_zoo.runs import reader
from mppi_zoo.runs.atomic import write_text
from mppi_zoo.runs.outcome import DONE, Attempt, add_debug, add_version, conclude
from mppi_zoo.runs.seal import check_seal, write_sealed

STATES = Dim("batch", min=1)


@torch.no_grad()
def save(
    execution: Execution,
    actions: ActionSpace,
    folder: Path,
    *,
    fallback: str = "raise",
    onnx: bool = False,
    about: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write the programs and ``export.json``; returns their paths.

    Args:
        actions: the environment's own.
        fallback: what is done for states with unusable inputs: "raise", "hold" or "zero". ONNX has
            no errors: its programs take "zero" for "raise".
        onnx: write the ONNX programs too.
        about: further entries of ``export.json``.

    Raises:
        ValueError: if the agent is compiled, since only eager agents can be exported.
        ImportError: a package for ONNX is missing.
    """
    if execution.compiled:
        raise ValueError("the agent is compiled; call execution.uncompile() before exporting it")
    chosen = NAMED[fallback]
    agent = execution.agent
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with _without_gradients(execution):
        outside, inputs = Outside(actions, chosen), _inputs(execution, actions)
        paths.append(folder / "policy.pt2")
        _write_pt2(paths[-1], PolicyProgram(agent, outside), inputs[:2])
        if not agent.planner.differentiates:
            paths.append(folder / "planner.pt2")
            draw = partial(agent.draw_plan_noise, generator=None)
            _write_pt2(paths[-1], PlannerProgram(execution, outside, draw, tuple), inputs)
        if onnx:
            paths += _write_onnx(execution, actions, folder, chosen, inputs)
    content = described(execution, actions, fallback, paths)
    paths.append(folder / "export.json")
    write_text(paths[-1], json.dumps({**content, **(about or {})}, indent=2) + "\n")
    return paths


Inputs = list[tuple[str, Tensor, int]]  # name, example of two states, axis of the states


def _inputs(execution: Execution, actions: ActionSpace) -> Inputs:
    """What the planner's program takes, the draws left out."""
    agent = execution.agent
    obs = torch.zeros(2, agent.spec.obs_dim, dtype=agent.dtype, device=agent.device)
    last = torch.zeros(2, agent.spec.action_dim, device=agent.device)
    last = last.to(torch.from_numpy(actions.low.astype(actions.dtype)).dtype)
    plan = obs.new_zeros(agent.planner.warm_rows, 2, agent.spec.action_dim)
    return [("obs", obs, 0), ("last", last, 0), ("plan", plan, 1)]


def _write_pt2(path: Path, program: nn.Module, inputs: Inputs) -> None:
    dims = {name: {axis: STATES} for name, _, axis in inputs}
    exported = torch.export.export(
        program, tuple(example for _, example, _ in inputs), dynamic_shapes=dims
    )
    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    write_sealed(path, lambda file: file.write(buffer.getbuffer()))


def _write_onnx(
    execution: Execution,
    actions: ActionSpace,
    folder: Path,
    fallback: Fallback,
    inputs: Inputs,
) -> list[Path]:
    from mppi_zoo.deploy.onnx_files import write  # its packages are an extra

    agent = execution.agent
    execution = Execution(agent)  # as trained: bfloat16 is unknown to onnxruntime on a CPU
    outside = Outside(actions, ZeroAction() if isinstance(fallback, RaiseError) else fallback)
    paths = [folder / "policy.onnx"]
    write(paths[0], PolicyProgram(agent, outside), inputs[:2], [], ["action", "refused"])
    if not agent.planner.differentiates:
        noise, record = noise_inputs(agent)
        planner = PlannerProgram(execution, outside, None, record)
        paths.append(folder / "planner.onnx")
        write(paths[1], planner, inputs, noise, ["action", "next_plan", "refused"])
    return paths


@contextlib.contextmanager
def _without_gradients(execution: Execution) -> Iterator[None]:
    """No parameter asks for gradients inside: an exported one would keep asking for ever."""
    agent = execution.agent
    learned = [p for m in agent.parts for p in m.parameters() if p.requires_grad]
    try:
        for parameter in learned:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


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
    parser.add_argument(
        "--fallback",
        choices=sorted(NAMED),
        default="raise",
        help="the action for an observation with NaN, infinity or an absurd number: none but an "
        "error, the last one, or the environment's 0; default: raise",
    )
    parser.add_argument("--onnx", action="store_true", help="programs for onnxruntime too")
    parser.add_argument("--trust", action="store_true", help="import what the folder names")
    add_debug(parser)
    add_version(parser)
    args = parser.parse_args(argv)

    def body(attempt: Attempt) -> int:
        controller = load(args.run, best=not args.last, imports=args.trust)
        attempt.begun = True
        out = args.out or reader.inside(args.run, "exported")
        about = _about(run_folder.read(args.run))
        for path in save(
            controller.execution,
            controller.actions,
            out,
            fallback=args.fallback,
            onnx=args.onnx,
            about=about,
        ):
            print(path)
        if controller.agent.planner.differentiates:
            planner = type(controller.agent.planner).__name__
            print(f"no program of the planner: {planner} takes gradients", file=sys.stderr)
        return DONE

    return conclude(body, debug=args.debug)


def _about(record: Mapping[str, Any]) -> dict[str, Any]:
    """What ``run.json`` says of an agent's origin; older ones do not say all of it."""
    names = ("member", "task", "seed", "action_repeat", "control_hz")
    return {name: record.get(name) for name in names}
