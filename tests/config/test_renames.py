"""Configurations of earlier versions in the names of this one."""

from __future__ import annotations

import pytest
from gin import config as gin_config

from mppi_zoo.config import renames
from mppi_zoo.config.bindings import read_bindings
from mppi_zoo.config.gin_config import parse
from mppi_zoo.config.suggestions import registered_parts

OLD = """
# Macros:
# =======
rho = 0.5
steps = 300

# Parameters for Experiment:
Experiment.agent = @POMPCAgent
Experiment.task = \\
    'dmc:walker-walk'

KLObjective.alpha = 0.0001
KLObjective.rho = %rho

POMPCAgent.consistency_weight = 20.0
POMPCAgent.encoder_lr_scale = 0.3
POMPCAgent.lr = \\
    0.0003
POMPCAgent.objective = @KLObjective()
POMPCAgent.optimizer = @ClippedAdam
POMPCAgent.planning_precision = @BFloat16Hidden
POMPCAgent.policy_eps = 1e-05
POMPCAgent.products = @TF32Products()
POMPCAgent.reward_weight = 0.1
POMPCAgent.termination_weight = 1.0
POMPCAgent.value_weight = 0.2
"""

NEW = """
Experiment.agent = @POMPCAgent
Experiment.callbacks = ()
Experiment.execution = @Execution
Experiment.task = 'dmc:walker-walk'
Execution.matmul_precision = @TF32Matmul()
Execution.planning_precision = @BFloat16Hidden
KLObjective.alpha = 0.0001
KLObjective.rho = %rho
ModelLoss.consistency = 20.0
ModelLoss.reward = 0.1
ModelLoss.rho = %rho
ModelLoss.soft_value = None
ModelLoss.terminal_steps = 1.0
ModelLoss.termination = 1.0
ModelLoss.terms = ()
ModelLoss.value = 0.2
ModelLoss.weights = None
Optimizers.encoder_lr_scale = 0.3
Optimizers.lr = 0.0003
Optimizers.optimizer = @ClippedAdam
Optimizers.policy_eps = 1e-05
POMPCAgent.model_loss = @ModelLoss()
POMPCAgent.objective = @KLObjective()
POMPCAgent.optimizers = @Optimizers
POMPCAgent.policy_update = @WeightedSum()
POMPCAgent.replan_view = None
POMPCAgent.view = @mean_view
rho = 0.5
steps = 300
"""


def test_a_whole_configuration_gets_todays_names() -> None:
    assert read_bindings(renames.upgrade(OLD)) == read_bindings(NEW)


def test_what_is_up_to_date_stays_as_it_is() -> None:
    upgraded = renames.upgrade(OLD)
    assert renames.upgrade(upgraded) == upgraded
    assert renames.upgrade(NEW) == NEW


@pytest.mark.parametrize(
    "text",
    [
        "POMPCAgent.lr = 1e-4\n",  # a user's few bindings: gin refuses the old name
        "include 'base.gin'\nExperiment.agent = @POMPCAgent\nPOMPCAgent.lr = 1e-4\n",
        "Experiment.agent = @POMPCAgent\nPOMPCAgent.lr = (1,\n",
        "",
    ],
)
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert renames.upgrade(text) == text


def test_a_value_that_the_text_has_is_kept() -> None:
    text = renames.upgrade(OLD + "ModelLoss.rho = 0.25\nPOMPCAgent.model_loss = @Mine()\n")
    bindings = read_bindings(text)
    assert bindings["ModelLoss.rho"] == "0.25" and bindings["POMPCAgent.model_loss"] == "@Mine()"


def test_only_parts_in_use_get_what_was_added() -> None:
    text = "Experiment.agent = @Own\nPOMPCAgent.lr = 0.1\n"
    assert "ModelLoss" not in renames.upgrade(text).replace("@ModelLoss", "")


def test_no_other_part_or_value_is_touched() -> None:
    text = renames.upgrade(OLD + "Own.lr = 1\nOwn.name = 'POMPCAgent.lr'\nOwn.part = @Products()\n")
    bindings = read_bindings(text)
    assert bindings["Own.lr"] == "1" and bindings["Own.name"] == "'POMPCAgent.lr'"
    assert bindings["Own.part"] == "@Products()"


@pytest.mark.parametrize("old", renames.PARAMETERS)
def test_a_bound_old_parameter_is_refused_with_its_new_name(old: str) -> None:
    with pytest.raises(ValueError, match=f"{old} is now called {renames.PARAMETERS[old]}"):
        parse(["tdmpc2_equiv"], [f"{old} = 1.0"])


@pytest.mark.parametrize("old", renames.PARTS)
def test_an_old_part_is_refused_with_its_new_name(old: str) -> None:
    message = f"{old} is now called {renames.PARTS[old]}"
    for binding in (f"Experiment.task = @{old}()", f"Experiment.task = @{old}", f"{old}.x = 1"):
        with pytest.raises(ValueError, match=message):
            parse(["tdmpc2_equiv"], [binding])


def test_every_new_name_exists() -> None:
    added = [value.strip("@()") for value in renames.ADDED.values() if value[0] == "@"]
    for part in [*added, *renames.PARTS.values()]:
        assert part in registered_parts()
    names = [*renames.PARAMETERS.values(), *renames.ADDED, *renames.COPIED]
    for name in names:
        gin_config.ParsedBindingKey.parse(name)  # refuses what is no parameter
