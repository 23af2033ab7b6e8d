"""Whether an environment says that its task is solved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

# What environments call it in ``info``: Meta-World and ManiSkill, MyoSuite, Gymnasium's goal tasks.
NAMES = ("success", "solved", "is_success")


def successes(info: Mapping[str, Any], num_envs: int) -> np.ndarray:
    """Of each environment 1.0 if the task is solved now, 0.0 if not, NaN if it does not say: [N].

    Args:
        info: of a step of N environments, as Gymnasium's vectors give it: an array for each name,
            and at ``_name`` which environments have given a value, if not all have.
    """
    found = np.full(num_envs, np.nan)
    name = next((name for name in NAMES if name in info), None)
    if name is None:
        return found
    told = on_host(info.get("_" + name, np.ones(num_envs, dtype=bool))).astype(bool)
    values = on_host(info[name]).reshape(num_envs, -1)[:, 0]
    for i in np.flatnonzero(told):
        found[i] = float(float(values[i]) > 0)
    return found


def on_host(values: Any) -> np.ndarray:
    """An array of the host, of an array or a tensor on any device."""
    if hasattr(values, "detach"):  # a torch tensor, said without importing torch
        values = values.detach().cpu().numpy()
    return np.asarray(values)
