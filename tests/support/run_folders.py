"""Run folders whose returns are known, without a training; what is done to folders in tests."""

from __future__ import annotations

import json
from pathlib import Path

from mppi_zoo.runs.metrics import MetricsLogger


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by its path within it."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def flip(path: Path) -> None:
    """Flip a bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


CONFIG = """# Macros:
# =====
steps = 3000
task = 'dmc:walker-walk'

# Parameters for KLObjective:
KLObjective.lam = {lam}
EnvOptions.action_repeat = {repeat}
TrainingOptions.steps = %steps
Wrapped.value = \\
    [1, 2,
     3]
"""


def make_run(
    folder: Path,
    seed: int = 1,
    member: str = "pompc_replay",
    task: str = "dmc:walker-walk",
    lam: str = "1.0",
    repeat: str = "None",
    version: str = "0.1.0",
    steps: tuple[int, ...] = (1000, 2000, 3000),
    gain: float = 0.1,
    success: float | None = None,
) -> Path:
    """A run folder whose return is ``gain`` times the step plus the seed."""
    with MetricsLogger(folder, tensorboard=False) as logger:
        for step in steps:
            value = gain * step + seed
            rates = {} if success is None else {"success_rate": success, "success_at_end": 0.25}
            logger.write(step, "eval", {"episode_return": value, **rates})
            logger.write(step, "eval_policy", {"episode_return": value / 2})
    versions = {"mppi_zoo": version}
    record = {"member": member, "task": task, "seed": seed, "versions": versions}
    record["started"] = str(folder)
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "config.gin").write_text(CONFIG.format(lam=lam, repeat=repeat))
    return folder
