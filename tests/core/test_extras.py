"""The light core: what needs no extra works without one, and what is missing is named."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.short_runs import ToyRuns

from mppi_zoo.core import extras

ROOT = Path(__file__).resolve().parents[2]

# As in an install without extras: the packages of all extras, and what they bring, are hidden.
WITHOUT = """
import sys
hidden = set({hidden!r})

class Hide:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            return None
        return self.finder.find_spec(name, path, target)

sys.meta_path = [Hide(finder) for finder in sys.meta_path]
for module in [name for name in sys.modules if name.partition(".")[0] in hidden]:
    del sys.modules[module]
"""
HIDDEN = {module for extra in extras.EXTRAS.values() for module in extra.modules}
HIDDEN |= {*extras.OTHERS, "PIL", "google", "requests", "cloudpickle"}
HIDDEN -= {"filelock"}  # torch needs it itself


def without_extras(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program where only the core's packages can be imported."""
    code = WITHOUT.format(hidden=sorted(HIDDEN)) + program
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300
    )


CORE = """
import numpy as np, torch
import mppi_zoo
for name in mppi_zoo.__all__:
    getattr(mppi_zoo, name)
from mppi_zoo import envs
from mppi_zoo.agent import losses
from mppi_zoo.objective import divergence, prior

# an agent from a gin file plans, learns nothing, and is loaded from its folder
controller = mppi_zoo.load(sys.argv[1])
action = controller.act(np.zeros(controller.agent.spec.obs_dim, np.float32))
assert action.shape == (2,) and np.isfinite(action).all()
controller.act(np.zeros(controller.agent.spec.obs_dim, np.float32), planner=False)
env = envs.make("toy:point")
assert envs.spec_of(env).obs_dim == 2

loaded = hidden & {name.partition(".")[0] for name in sys.modules}
assert not loaded, loaded

# what is missing is named, and no folder is made
def refused(main, *arguments):
    assert main(list(arguments)) == 2, arguments
    assert not list(__import__("pathlib").Path(sys.argv[2]).iterdir())

from mppi_zoo.cli import main as run
out = ["--out", sys.argv[2] + "/run"]
refused(run.main, "--gin", "tdmpc2_equiv", "--gin", "debug", "--task", "toy:point", *out)
refused(run.main, "--gin", "tdmpc2_equiv", "--gin", "debug", "--task", "dmc:walker-walk", "--show")
refused(run.main, "--gin", "tdmpc2_equiv", "--gin", "debug", "--task", "gym:Hopper-v5", "--show")
refused(run.main, "--gin", "tdmpc2_equiv", "--gin", "debug", "--task", "hb:h1hand-run", "--show")
refused(run.main, "--gin", "tdmpc2_equiv", "--task", "toy:point", "--show", "--wandb", "zoo")
from mppi_zoo import report
from mppi_zoo.study import __main__ as study
refused(lambda _: report.main())
refused(lambda _: study.main())
"""


def test_the_core_needs_no_extra(tmp_path: Path, toy_run: ToyRuns) -> None:
    (tmp_path / "empty").mkdir()
    result = without_extras(CORE, str(toy_run("pompc_adaptive_fkl")), str(tmp_path / "empty"))
    assert result.returncode == 0, result.stderr
    refusals = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    wanted = ["train"] * 4 + ["wandb", "report", "train"]
    assert [re.search(r"mppi_zoo\[(\w+)\]", line) is not None for line in refusals] == [True] * 7, (
        refusals
    )
    assert [re.findall(r"mppi_zoo\[(\w+)\]", line)[0] for line in refusals] == wanted
    assert "dmc: needs the package dm_control" in refusals[1]


def test_every_extra_is_in_the_metadata() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    part = text.partition("[project.optional-dependencies]")[2].partition("[project.scripts]")[0]
    lists = dict(re.findall(r"^(\w+) = \[(.*?)\]$", part, re.S | re.M))
    assert set(extras.EXTRAS) == set(lists) - {"all", "dev", "docs"}
    for name, extra in extras.EXTRAS.items():
        distributions = lists[name].replace("-", "_").replace("pyyaml", "yaml")
        for module in (*extra.modules, *(k for k, v in extras.OTHERS.items() if v == name)):
            assert re.search(rf"[\"']{module}\b", distributions), (name, module)
    named = re.findall(r"mppi_zoo\[([\w,]+)\]", lists["all"])[0].split(",")
    assert set(named) == set(extras.EXTRAS)


def test_an_empty_folder_of_that_name_is_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wandb_like").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImportError, match=r"flying needs the package wandb_like.*mppi_zoo\[wandb"):
        extras.require("wandb", "flying", "wandb_like")
