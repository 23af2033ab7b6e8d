"""What the fuzzer feeds: each function makes one input, hands it over and checks what comes back.

It returns REFUSED or ACCEPTED, or raises :class:`Found`. :func:`mppi_zoo.runs.outcome.describe`
tells whether a refusal was written for users.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import gin
import torch
from gin import config as gin_config
from support.agents import SMALL, random_batch
from system.fuzzing import inputs

from mppi_zoo.agent.checkpoint import load_agent
from mppi_zoo.analysis.runs import load_runs
from mppi_zoo.cli import main as run
from mppi_zoo.config import gin_config as config
from mppi_zoo.core.checks import fits
from mppi_zoo.core.kinds import constructor, declared
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.runs.checkpoint_store import CheckpointStore
from mppi_zoo.runs.outcome import describe
from mppi_zoo.study.file import read_study
from mppi_zoo.study.grid import RunPlan, expand
from mppi_zoo.study.state import read_state
from mppi_zoo.training import checkpointing
from mppi_zoo.training.checkpointing import Checkpointer

REFUSED, ACCEPTED = "refused", "accepted"
MEMBER, SPEC = "pompc_adaptive_fkl", EnvSpec(2, 2, 25)
UNWRITTEN = "the same command with --debug shows the traceback"
LARGEST_BUILT = 64  # integers up to which an accepted configuration is built and tried
IN_USE = {".lock", ".owner"}  # which a process holds while it looks at a run


class Found(Exception):
    """An invariant does not hold."""


class Fuzzer:
    """The targets, over one run folder.

    Args:
        folder: for everything that is written.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.parameters = inputs.parameters()
        self.run = folder / "study" / "runs" / "run"
        self.run.parent.mkdir(parents=True)
        self._train()
        self.plan = RunPlan("run", (), 40, (MEMBER,), ())
        self._journal()
        self.intact = self._bytes()
        self.agents = self._agents()

    def _train(self) -> None:
        """The run to damage: about six checkpoints, several pieces of its replay."""
        ticks = itertools.count()
        Checkpointer.__init__.__defaults__ = (lambda: float(next(ticks)),)  # by calls, not seconds
        sizes = ("seed_steps=32", "eval_every=20", "iterations=1", "horizon=2")
        arguments = ["--gin", MEMBER, "--gin", "debug", "--no-video", "--quiet"]
        for binding in (*sizes, "TrainingOptions.checkpoint_minutes=0.25"):
            arguments += ["--param", binding]
        arguments += ["--task", "toy:point", "--steps", "40", "--out", str(self.run)]
        if run.main(arguments):
            raise RuntimeError("the run to damage could not be trained")
        shutil.rmtree(self.run / "tensorboard")

    def _journal(self) -> None:
        self.journal = journal = self.folder / "study" / "journal" / "run.jsonl"
        journal.parent.mkdir()
        event = '{"event": "%s", "time": 1.0, "host": "h", "process": 1, "job": "local:h:1", %s}\n'
        ended = '"code": 3, "steps": 40, "again": false, "attempt": 1, "tail": ["x"]'
        begun = '"attempt": 1, "steps": 40'
        journal.write_text(event % ("started", begun) + event % ("ended", ended))

    def _bytes(self) -> dict[Path, bytes]:
        files = (p for p in self.run.rglob("*") if p.is_file() and p.name not in IN_USE)
        return {path: path.read_bytes() for path in files}

    def _agents(self) -> dict[str, dict[str, Any]]:
        self.agent = config.parse([str(self.run / "config.gin")]).agent(SPEC)
        agents = {}
        for name in ("best.pt", "last.pt"):
            load_agent(self.run / "checkpoints" / name, self.agent)
            agents[name] = {k: v.clone() for k, v in self._parameters().items()}
        return agents

    def _parameters(self) -> dict[str, torch.Tensor]:
        parts = self.agent.parts._asdict().items()
        return {f"{n}.{k}": v for n, m in parts for k, v in m.state_dict().items()}

    @contextlib.contextmanager
    def _changed(self, path: Path, content: bytes) -> Iterator[None]:
        """The run with one file changed, and whole again afterwards."""
        path.write_bytes(content)
        try:
            yield
        finally:
            now = self._bytes()
            for file in now.keys() - self.intact.keys():
                file.unlink()
            for file, whole in self.intact.items():
                if now.get(file) != whole:
                    file.write_bytes(whole)

    def _attempt(self, call: Callable[[], object]) -> str:
        """ACCEPTED or REFUSED; a refusal must have been written for users."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                call()
            return ACCEPTED
        except Exception as error:
            if UNWRITTEN in describe(error):
                raise Found(f"no message for users: {describe(error)}") from error
            return REFUSED

    def _command(self, arguments: list[str]) -> str:
        """A whole run by its command line; a refusal must leave the folder as it was."""
        before, said = self._bytes(), io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = run.main(arguments)
        text = said.getvalue()
        if "Traceback" in text or UNWRITTEN in text:
            raise Found(f"exit code {code}: {text[-500:]}")
        if code not in (0, 2, 3):
            raise Found(f"exit code {code}, expected 0, 2 or 3: {text[-300:]}")
        if code == 2 and self._bytes() != before:
            now = self._bytes()
            changed = {p.name for p in before.keys() | now.keys() if before.get(p) != now.get(p)}
            raise Found(f"a refusal changed {', '.join(sorted(changed))}: {text[-300:]}")
        return ACCEPTED if code == 0 else REFUSED

    # --- configurations

    def bindings(self, draw: Random) -> str:
        """Random bindings over a member: refused, or in range; some are built and tried."""
        params = [inputs.binding(draw, self.parameters) for _ in range(draw.choice((1, 1, 2)))]
        if draw.random() < 0.2:
            params = [inputs.text(draw, params[0])]
        kept: list[Any] = []
        files = [MEMBER, "debug"]
        outcome = self._attempt(lambda: kept.append(config.parse(files, [*SMALL, *params])))
        if outcome == ACCEPTED:
            integers = self._in_range(params)
            if draw.random() < 0.3 and all(-1 <= n <= LARGEST_BUILT for n in integers):
                outcome = self._attempt(lambda: _try(kept[0]))
        return outcome

    def _in_range(self, params: list[str]) -> list[int]:
        """Check that what gin bound fits its declaration; returns the integers among it."""
        integers: list[int] = []
        for (_, selector), bound in list(gin_config._CONFIG.items()):
            part = gin_config._REGISTRY[selector]
            hints = declared(constructor(part.wrapped))
            whole = (gin_config.ConfigurableReference, list, tuple, dict)
            for name, given in bound.items():
                literal = not isinstance(given, whole)
                integers += [given] if isinstance(given, int) else []
                if literal and name in hints and not fits(given, hints[name]):
                    raise Found(f"accepted {part.name}.{name} = {given!r} of {params}")
        return integers

    def gin(self, draw: Random) -> str:
        """A faulty configuration file."""
        file = self.run / "config.gin"
        changed = inputs.text(draw, self.intact[file].decode())
        path = self.folder / "faulty.gin"
        path.write_bytes(changed.encode("utf-8", "surrogatepass"))
        return self._attempt(lambda: config.parse([str(path)]))

    def yaml(self, draw: Random) -> str:
        """A faulty study file."""
        study = (
            "title: a\nmembers: [pompc_replay]\ntasks: ['toy:point']\ngin: [debug]\nseeds: 2\n"
            "grid:\n  KLObjective.lam: [0.1, 1]\nsteps: 50\narguments: [--no-video]\nthreads: 1\n"
        )
        text = inputs.LAUGHS + study if draw.random() < 0.01 else inputs.text(draw, study)
        path = self.folder / "study.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return self._attempt(lambda: expand(read_study(path)))

    def command(self, draw: Random) -> str:
        """A whole short run with random bindings."""
        out = self.folder / "out"
        arguments = ["--gin", MEMBER, "--gin", "debug", "--no-video", "--quiet", "--out", str(out)]
        small = ("seed_steps=16", "eval_every=0", "iterations=1", "batch_size=8", "steps=18")
        random = [inputs.binding(draw, self.parameters)]
        for binding in (*small, "task='toy:point'", *random):
            arguments += ["--param", binding]
        try:
            outcome = self._command(arguments)
            if outcome == REFUSED and out.is_dir() and not (out / "metrics.csv").is_file():
                raise Found(f"a refusal left {out}: {random}")
            return outcome
        finally:
            shutil.rmtree(out, ignore_errors=True)

    # --- files of run folders

    def json(self, draw: Random) -> str:
        """Faulty JSON: a run's record, its checkpoints' manifests, a study's journal."""
        manifests = sorted((self.run / "state").glob("*.json"))
        path = draw.choice([self.run / "run.json", draw.choice(manifests), self.journal])
        if path == self.journal:
            first, second = whole = path.read_text().splitlines()
            lines = [first, inputs.json_text(draw, second)]
            path.write_bytes(("\n".join(lines) + "\n").encode("utf-8", "surrogatepass"))
            try:
                return self._attempt(lambda: read_state(self.folder / "study", self.plan, bool))
            finally:
                path.write_text("\n".join(whole) + "\n")
        changed = inputs.json_text(draw, self.intact[path].decode())
        return self._feed(draw, path, changed.encode("utf-8", "surrogatepass"))

    def csv(self, draw: Random) -> str:
        """Faulty metrics and timings."""
        path = self.run / draw.choice(("metrics.csv", "timing.csv"))
        changed = inputs.text(draw, self.intact[path].decode())
        return self._feed(draw, path, changed.encode("utf-8", "surrogatepass"))

    def checkpoint(self, draw: Random) -> str:
        """A damaged file of an agent or of a checkpoint."""
        path = draw.choice([p for p in self.intact if p.suffix == ".pt"])
        return self._feed(draw, path, inputs.damage(draw, self.intact[path]))

    def flips(self, draw: Random) -> str:
        """One bit of any file of a run folder."""
        path = draw.choice(list(self.intact))
        return self._feed(draw, path, inputs.flip(draw, self.intact[path]))

    def _feed(self, draw: Random, path: Path, content: bytes) -> str:
        """Let all that reads this file of the run read it."""
        with self._changed(path, content):
            if draw.random() < 0.03:
                return self._command(["--resume", str(self.run), "--quiet"])
            before = self._bytes()
            if path.parent.name == "state":
                outcome = self._attempt(lambda: self._open(path))
            elif path.parent.name == "checkpoints":
                outcome = self._load(path, content)
            else:
                outcome = self._report()
            if self._bytes() != before:
                raise Found(f"reading {path.name} changed the folder")
        return outcome

    def _open(self, path: Path) -> None:
        opened = checkpointing.newest(CheckpointStore(path.parent), self.run)
        if opened is None:
            raise Found("there seems to be no checkpoint at all")
        for log in opened.manifest["logs"]:
            for _ in opened.segments(log):
                pass
        for module in opened.content["agent"]["modules"].values():
            if not all(torch.isfinite(tensor).all() for tensor in module.values()):
                raise Found("a checkpoint opened with parameters that are not finite")

    def _load(self, path: Path, content: bytes) -> str:
        outcome = self._attempt(lambda: load_agent(path, self.agent))
        if outcome == ACCEPTED:
            whole = self.agents[path.name]
            other = [k for k, v in self._parameters().items() if not torch.equal(v, whole[k])]
            if other and content != self.intact[path]:
                raise Found(f"{path.name} loaded with other parameters: {other[0]}")
        return outcome

    def _report(self) -> str:
        found = load_runs([self.run])
        if found.runs:
            found.table  # noqa: B018  (reads the rows of all)
            return ACCEPTED
        if any(UNWRITTEN in reason for reason in found.skipped.values()):
            raise Found(f"no message for users: {found.skipped}")
        return REFUSED


def _try(experiment: config.Experiment) -> None:
    """Build the agent and let it act and learn once."""
    agent = experiment.agent(SPEC, device="cpu", seed=0)
    execution = gin.get_configurable(config.Execution)(agent)
    execution.act(torch.zeros(1, 2), agent.draw_plan_noise(1, None), greedy=True)
    batch = random_batch(SPEC, 8, agent.planner.horizon, torch.float32)
    noise = agent.draw_update_noise(batch, torch.Generator().manual_seed(0))
    execution.update(batch, 100, noise)
