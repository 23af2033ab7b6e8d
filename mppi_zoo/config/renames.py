"""Names that configurations had in earlier versions, and what they are called now.

The ``config.gin`` of a run folder holds every setting by name, so that a name that changes would
leave all earlier folders unreadable. Who renames a parameter or a part adds a line here; where
such a file is read, :func:`upgrade` does the rest.
"""

from __future__ import annotations

import re

from mppi_zoo.config.bindings import read_bindings

# Parameters: what they were called, and what they are called now.
PARAMETERS = {
    "POMPCAgent.consistency_weight": "ModelLoss.consistency",
    "POMPCAgent.reward_weight": "ModelLoss.reward",
    "POMPCAgent.value_weight": "ModelLoss.value",
    "POMPCAgent.termination_weight": "ModelLoss.termination",
    "POMPCAgent.products": "Execution.matmul_precision",
    "POMPCAgent.planning_precision": "Execution.planning_precision",
    "POMPCAgent.lr": "Optimizers.lr",
    "POMPCAgent.encoder_lr_scale": "Optimizers.encoder_lr_scale",
    "POMPCAgent.policy_eps": "Optimizers.policy_eps",
    "POMPCAgent.optimizer": "Optimizers.optimizer",
}

# Parts that a value refers to, as in @Float32Products().
PARTS = {
    "Float32Products": "Float32Matmul",
    "TF32Products": "TF32Matmul",
}

# What a whole configuration lacks after these renames, and its value.
ADDED = {
    "Experiment.execution": "@Execution",
    "POMPCAgent.model_loss": "@ModelLoss()",
    "POMPCAgent.policy_update": "@WeightedSum()",
    "POMPCAgent.optimizers": "@Optimizers",
    "POMPCAgent.view": "@mean_view",
    "POMPCAgent.replan_view": "None",
    "ModelLoss.terms": "()",
    "ModelLoss.weights": "None",
    "MPPIPlanner.scoring": "@TerminalReturn()",
    "MPPIPlanner.memory": "None",
    "MPPIPlanner.start": "None",
    "ModelLoss.soft_value": "None",
    "SquaredError.reduce": "@action_sum",
    "TrainingOptions.updates": "None",
    "TrainingOptions.rate": "None",
    "WorldModel.normalizer": "None",
    "EnvOptions.arguments": "None",
    "ModelLoss.terminal_steps": "1.0",
    "ShiftedPlan.std": "None",
    "TrainingOptions.seed_episodes": "None",
    "WorldModel.alive": "None",
    "WorldModel.terminal_weight": "1.0",
    "Experiment.callbacks": "()",
}

# What it lacks too, and the parameter that has its value.
COPIED = {"ModelLoss.rho": "KLObjective.rho"}


def upgrade(text: str) -> str:
    """The configuration of an earlier version in the names of this one.

    Only a whole configuration, as a run folder keeps it, is rewritten. Any other text comes back
    as it is: one in today's names, one that includes files, or a user's few bindings, whose old
    names gin refuses (with :func:`hint`).
    """
    try:
        old = read_bindings(text)
    except ValueError:
        return text  # includes, or damage, of which gin says more
    if "Experiment.agent" not in old or not (old.keys() & PARAMETERS.keys()):
        return text
    new = {PARAMETERS.get(name, name): _with_new_parts(value) for name, value in old.items()}
    added = {**ADDED, **{name: new[source] for name, source in COPIED.items() if source in new}}
    in_use = {name.split(".")[0] for name in new}
    new = {name: value for name, value in added.items() if name.split(".")[0] in in_use} | new
    imports = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
    return "\n".join([*imports, *(f"{name} = {value}" for name, value in new.items()), ""])


def _with_new_parts(value: str) -> str:
    return re.sub(r"@(\w+)", lambda found: f"@{PARTS.get(found[1], found[1])}", value)


def hint(message: str) -> str:
    """What to write instead, if gin's ``message`` complains of an old name; else an empty text."""
    parameter = re.search(r"'([\w.]+)' doesn't have a parameter named '(\w+)'", message)
    part = re.search(r"No configurable matching (?:reference )?'@?([\w.]+)(?:\(\))?'", message)
    old = new = None
    if parameter:
        old = f"{parameter[1].rsplit('.', 1)[-1]}.{parameter[2]}"
        new = PARAMETERS.get(old)
    elif part:
        old = part[1].rsplit(".", 1)[-1]
        new = PARTS.get(old)
    return f"\n{old} is now called {new}" if new else ""
