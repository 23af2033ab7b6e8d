"""The card of a shared agent: what it is, how good it was, how to use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mppi_zoo.runs import folder as run_folder
from mppi_zoo.runs import reader
from mppi_zoo.runs.metrics import METRICS_COLUMNS

SETTINGS_SHOWN = 20_000  # characters of the configuration


def card(
    folder: Path, record: Mapping[str, Any], *, step: int, license: str, curve: str = ""
) -> str:
    """A model card as the hub reads it: YAML about the agent, then Markdown.

    Args:
        folder: of the run.
        record: its ``run.json``.
        step: agent step of the agent.
        license: of the weights.
        curve: name of the picture of the learning curve, shown where the folder has it.
    """
    from huggingface_hub import ModelCard, ModelCardData

    member, task = str(record["member"]), str(record["task"])
    data = ModelCardData(
        license=license,
        library_name="mppi_zoo",
        tags=["reinforcement-learning", "model-based-reinforcement-learning", "mppi", member, task],
    )
    versions = ", ".join(f"{k} {v}" for k, v in dict(record.get("versions", {})).items() if v)
    shown = f"![learning curve]({curve})\n\n" if curve and reader.exists(folder, curve) else ""
    settings = reader.read_text(folder, run_folder.CONFIG_FILE)[:SETTINGS_SHOWN]
    text = (
        f"# {member} on {task}\n\n"
        f"An agent of mppi_zoo: member `{member}`, task `{task}`, seed {record.get('seed')}, after "
        f"{step:,} agent steps.{_returned(folder, step)}\n\n{shown}"
        "## Use\n\n```bash\npip install 'mppi_zoo[hub]'\npython -m mppi_zoo.share pull REPO --out "
        "agent  # from the hub; a folder with these files needs no such step\n```\n\n```python\n"
        "import mppi_zoo\n\ncontroller = mppi_zoo.load('agent')\naction = controller.act(obs)\n"
        "```\n\n"
        f"## Versions\n\n{versions or 'unknown'}\n\n## Configuration\n\n```\n{settings}\n```\n"
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}"))


def returns(folder: Path) -> dict[int, dict[str, float]]:
    """A run's evaluations: agent step -> "eval" or "eval_policy" -> mean return."""
    found: dict[int, dict[str, float]] = {}
    for step, split, metric, value in reader.read_rows(folder, "metrics.csv", METRICS_COLUMNS):
        if split.startswith("eval") and metric == "episode_return":
            found.setdefault(int(step), {})[split] = float(value)
    return found


def _returned(folder: Path, step: int) -> str:
    """The evaluation at that step, as a sentence; empty where there was none."""
    found = returns(folder).get(step, {})
    if "eval" not in found:
        return ""
    bare = f", {found['eval_policy']:.1f} with the bare policy" if "eval_policy" in found else ""
    return f" Its evaluation had a mean return of {found['eval']:.1f} with the planner{bare}."
