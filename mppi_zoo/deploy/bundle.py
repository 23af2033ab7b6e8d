"""Trained agents as one archive, such as the one that a release has beside the package.

In it lies a folder for each agent, as :func:`mppi_zoo.deploy.sharing.push` writes it, a README with
a table of them, and ``SHA256SUMS``, which ``sha256sum --check`` reads. The same runs give the same
bytes.
"""

from __future__ import annotations

import gzip
import math
import re
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from mppi_zoo.agent.checkpoint import read_agent_file
from mppi_zoo.core.extras import require
from mppi_zoo.core.version import VERSION
from mppi_zoo.deploy.card import returns
from mppi_zoo.deploy.description import sha256
from mppi_zoo.deploy.loading import experiment_of, load
from mppi_zoo.deploy.sharing import CURVE, push
from mppi_zoo.runs import folder as run_folder
from mppi_zoo.runs import reader
from mppi_zoo.runs.atomic import write_file, write_text

ENDING = ".tar.gz"
SUMS = "SHA256SUMS"
MODE, MODE_OF_FOLDERS = 0o644, 0o755


class Entry(NamedTuple):
    """An agent of the archive.

    Attributes:
        name: of its folder there.
        run: the run's folder.
        member, task: of the run.
        step: agent step of the agent.
        evaluated: mean return of the evaluation at that step.
    """

    name: str
    run: Path
    member: str
    task: str
    step: int
    evaluated: float


def bundle(runs: Sequence[Path], archive: Path, *, best: bool = True, license: str = "mit") -> Path:
    """Write finished runs' agents into an archive, and its checksum beside it; returns the archive.

    Each agent is loaded again from what is packed, and must choose an action.

    Args:
        runs: folders of runs that trained to their end.
        archive: the file to make, ``NAME.tar.gz``; ``NAME`` is the folder in it.
        best, license: as of :func:`~mppi_zoo.deploy.sharing.push`.

    Raises:
        ImportError: a package of the extra ``hub`` is missing.
        FileExistsError: the archive is there already.
        ValueError: a run is unfinished, has no learning curve, or is there twice.
    """
    require("hub")
    top = archive.name.removesuffix(ENDING)
    if top in ("", archive.name):
        raise ValueError(f"{archive}: expected a name that ends in {ENDING}")
    if archive.exists():
        raise FileExistsError(f"{archive} is there already: delete it, or name another file")
    entries = [_entry(run, best) for run in runs]
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)}: several runs of one member, task and seed")
    with tempfile.TemporaryDirectory() as temporary:
        staged = Path(temporary) / top
        for entry in entries:
            push(entry.run, str(staged / entry.name), best=best, license=license)
            _try(staged / entry.name)
        write_text(staged / "README.md", _readme(top, entries))
        write_text(staged / SUMS, _sums(staged))
        archive.parent.mkdir(parents=True, exist_ok=True)
        write_file(archive, lambda file: _pack(staged, file))
    write_text(Path(f"{archive}.sha256"), f"{sha256(archive)}  {archive.name}\n")
    return archive


def _entry(run: Path, best: bool) -> Entry:
    record = run_folder.read(run)
    evaluated = {step: of["eval"] for step, of in returns(run).items() if "eval" in of}
    steps = experiment_of(run, record).training.steps
    last, at = max(evaluated, default=0), int(read_agent_file(run, best)[1]["step"])
    if last < steps:
        raise ValueError(
            f"{run} is unfinished: its last evaluation is at step {last:,} of {steps:,}; "
            f"python -m mppi_zoo.run --resume {run}"
        )
    if not reader.exists(run, CURVE):
        raise ValueError(f"{run} has no {CURVE}, which a run draws at its end: resume it")
    words = (str(record["member"]), str(record["task"]), f"s{record['seed']}")
    name = "_".join(re.sub(r"[^A-Za-z0-9.+-]+", "-", word) for word in words)
    return Entry(name, run, words[0], words[1], at, evaluated.get(at, math.nan))


def _try(folder: Path) -> None:
    controller = load(folder)
    action = controller.act(np.zeros(controller.agent.spec.obs_dim, np.float32))
    if not np.isfinite(action).all():
        raise ValueError(f"{folder.name} chooses the action {action}")


def _readme(top: str, entries: Sequence[Entry]) -> str:
    rows = [
        f"| [{e.name}]({e.name}/README.md) | {e.member} | {e.task} | {e.step:,} | "
        f"{e.evaluated:,.1f} |"
        for e in entries
    ]
    return (
        f"# {top}\n\nAgents that mppi_zoo {VERSION} or an earlier version trained; each folder has "
        "the weights (safetensors), the configuration, the metrics, the learning curve and a card "
        "that says what it is.\n\n| agent | member | task | agent steps | return of its "
        "evaluation |\n|---|---|---|---:|---:|\n" + "\n".join(rows) + "\n\n```bash\n"
        f"sha256sum --check {SUMS}\npip install 'mppi_zoo[hub]'\n```\n\n```python\n"
        f"import mppi_zoo\n\ncontroller = mppi_zoo.load({entries[0].name!r})\n"
        "action = controller.act(obs)\n```\n"
    )


def _sums(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(f"{sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)


def _pack(folder: Path, file: BinaryIO) -> None:
    """Write a folder as tar.gz, without times and owners."""
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in [folder, *sorted(folder.rglob("*"))]:
            info = tar.gettarinfo(path, path.relative_to(folder.parent).as_posix())
            info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
            info.mode = MODE_OF_FOLDERS if path.is_dir() else MODE
            if path.is_dir():
                tar.addfile(info)
            else:
                with path.open("rb") as content:
                    tar.addfile(info, content)
