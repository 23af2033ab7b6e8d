"""Reading ``config.gin`` of a run folder, and telling configurations apart."""

from __future__ import annotations

from collections.abc import Sequence

from mppi_zoo.config.bindings import read_bindings
from mppi_zoo.config.renames import upgrade

# Settings that may differ between two runs of one method: length, evaluations, checkpoints, task.
SCHEDULE = frozenset(
    {
        "steps",
        "eval_every",
        "eval_episodes",
        "task",
        "TrainingOptions.log_every",
        "TrainingOptions.steps",
        "TrainingOptions.eval_every",
        "TrainingOptions.eval_episodes",
        "TrainingOptions.checkpoint_minutes",
        "TrainingOptions.checkpoints_kept",
        "EnvOptions.time_out",
        "Experiment.task",
    }
)

ARGUMENTS = "EnvOptions.arguments"  # of the environment: other arguments make another task


def parse_settings(text: str) -> dict[str, str]:
    """Names and values, as text, of an operative gin configuration; macros are filled in.

    Names of earlier versions become today's.

    Raises:
        ValueError: a line that is no binding.
    """
    settings = read_bindings(upgrade(text))
    macros = {name: value for name, value in settings.items() if "." not in name}
    return {n: macros.get(v[1:], v) if v.startswith("%") else v for n, v in settings.items()}


def identity(settings: dict[str, str]) -> dict[str, str]:
    """The settings that define a method. Macros are left out: the bindings that use them have the
    same values."""
    own = {n: v for n, v in settings.items() if n not in SCHEDULE and "." in n}
    if own.get(ARGUMENTS) == "None":  # as in runs from before there were arguments
        del own[ARGUMENTS]
    return own


def differences(configurations: Sequence[dict[str, str]]) -> dict[str, list[str | None]]:
    """Names whose values are not the same in all configurations, with the value in each."""
    names = sorted(set().union(*configurations)) if configurations else []
    found: dict[str, list[str | None]] = {}
    for name in names:
        values = [settings.get(name) for settings in configurations]
        if len(set(values)) > 1:
            found[name] = values
    return found


def labels(members: Sequence[str], identities: Sequence[dict[str, str]]) -> list[str]:
    """One label a run: its member, and in brackets the settings that differ among its runs."""
    result = []
    for member, own in zip(members, identities, strict=True):
        rivals = [i for m, i in zip(members, identities, strict=True) if m == member]
        parts = [f"{_short(name)}={own.get(name, 'absent')}" for name in differences(rivals)]
        shown = parts if len(parts) <= 3 else [*parts[:3], f"{len(parts) - 3} more"]
        if len(parts) > 3:  # the differences that are not shown must still give another label
            distinct = sorted({str(sorted(i.items())) for i in rivals})
            shown.append(f"variant {1 + distinct.index(str(sorted(own.items())))}")
        result.append(f"{member} [{', '.join(shown)}]" if shown else member)
    return result


def _short(name: str) -> str:
    return name.rsplit(".", 1)[-1] if name.startswith("KLObjective.") else name
