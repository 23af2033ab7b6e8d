"""Mutation check: do the tests notice when the algorithms are wrong?

    python tests/mutations/run.py [--jobs 2] [part of a mutation's name ...]

Each mutation is one fault, a line changed or moved, seeded into a copy of the package. The tests
named for it must pass on the unchanged copy and fail on the faulty one. ``--jobs`` copies are
tested at a time, each by one process with one thread; as many as there are cores unless stated.
Exits with 1 where a fault survives and with 2 where the list does not fit the sources any more.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

Task = TypeVar("Task")
ROOT = Path(__file__).resolve().parents[2]
COPIED = ("mppi_zoo", "gin", "studies", "baselines", "tests", "pyproject.toml", "setup.py")
TIMEOUT = 120.0  # seconds a test may take
PRELOADED = ("pytest", "hypothesis", "numpy", "gin", "gymnasium", "torch")
PRELOADED += ("pandas", "matplotlib.figure", "mujoco")

GOLDEN, AGREEMENT = "tests/conformance/test_goldens.py", "tests/conformance/test_agreement.py"
RULES = "tests/conformance/test_update_rules.py"
GRAPHS, WAITING = "tests/compute/test_cuda_graphs.py", "tests/system/test_host_transfers.py"
DYNAMICS, DEPTHS = "tests/networks/test_dynamics.py", "tests/planning/test_depth_average.py"
SAMPLING = "tests/training/test_sampling.py"
BESIDE = "tests/system/test_evaluating_beside.py"
ALARMS = "tests/runs/test_alarms.py"
PAST, ALIVE = "tests/training/test_past_the_end.py", "tests/networks/test_alive.py"
HUMANOID = "tests/envs/test_humanoid_bench.py"
RESUME = "tests/system/test_resuming.py::test_every_member_resumes_exactly[pompc_adaptive_fkl]"


def updates(member: str) -> str:
    return f"{GOLDEN}::test_updates[{member}-f64]"


def plans(member: str) -> str:
    return f"{GOLDEN}::test_plans[{member}-f64]"


def agreement(case: str) -> str:
    return f"{AGREEMENT}::test_agreement[{case}]"


class Mutation(NamedTuple):
    """``old`` must occur exactly once in ``file``; it carries a second line only for context."""

    name: str
    file: str  # in mppi_zoo/
    old: str
    new: str
    test: str  # pytest's node id
    needs: str = ""  # an optional package, without which the test skips


MUTATIONS = [
    # --- episodes that end early
    Mutation(
        "an over-estimation that only falls is an alarm",
        "runs/alarms.py",
        "all(low < high for low, high",
        "all(low != high for low, high",
        f"{ALARMS}::test_growing_over_estimation",
    ),
    Mutation(
        "a policy saturates though it has a gradient",
        "runs/alarms.py",
        "norm < NO_GRADIENT and",
        "norm >= 0 and",
        f"{ALARMS}::test_a_saturated_policy",
    ),
    Mutation(
        "one evaluation that misses ends is an alarm",
        "runs/alarms.py",
        "max(recalls[before], recalls[step]) < LEAST_RECALL",
        "min(recalls[before], recalls[step]) < LEAST_RECALL",
        f"{ALARMS}::test_missed_ends",
    ),
    Mutation(
        "a time limit counts as an end in the recall",
        "training/termination_metrics.py",
        "ends[-1] &= bool(episodes.terminated[number])",
        "ends[-1] &= True",
        "tests/training/test_termination_metrics.py::test_ends_are_those_of_episodes_that_terminated",
    ),
    Mutation(
        "a time limit is followed by rows past the end",
        "training/replay.py",
        "lanes = np.flatnonzero(terminated.cpu().numpy())",
        "lanes = np.flatnonzero(terminated.cpu().numpy() >= 0)",
        f"{PAST}::test_a_terminal_step_is_at_every_index_equally_often",
    ),
    Mutation(
        "one row too few past the end",
        "training/past_the_end.py",
        "        return horizon",
        "        return horizon - 1",
        f"{PAST}::test_a_terminal_step_is_at_every_index_equally_often",
    ),
    Mutation(
        "steps past the end are not terminated",
        "training/replay.py",
        'self.columns["terminated"][rows] = 1',
        'self.columns["terminated"][rows] = 0',
        f"{PAST}::test_a_terminal_step_is_at_every_index_equally_often",
    ),
    Mutation(
        "all actions past the end are the same",
        "training/past_the_end.py",
        "0.5 + numbers[:, None] * steps",
        "0.5 + 0 * numbers[:, None] * steps",
        f"{PAST}::test_the_actions_past_the_end_fill_the_box_evenly",
    ),
    Mutation(
        "terminal steps weigh more than the factor says",
        "agent/losses.py",
        "1 + (factor - 1) * batch.terminated",
        "1 + factor * batch.terminated",
        f"{PAST}::test_a_chain_with_termination_reaches_its_closed_form",
    ),
    Mutation(
        "the expected discount is that of an end",
        "networks/alive.py",
        "torch.sigmoid(-logit)",
        "torch.sigmoid(logit)",
        f"{ALIVE}::test_the_hard_cut_is_at_its_threshold",
    ),
    Mutation(
        "the threshold is taken for a logit",
        "networks/alive.py",
        "self.logit = math.log(threshold / (1 - threshold))",
        "self.logit = threshold - 0.5",
        f"{ALIVE}::test_the_hard_cut_is_at_its_threshold",
    ),
    Mutation(
        "the rare class weighs less in the head's loss",
        "networks/world_model.py",
        "logit.new_tensor(self.terminal_weight)",
        "logit.new_tensor(1 / self.terminal_weight)",
        f"{ALIVE}::test_terminal_steps_can_weigh_more_in_the_heads_loss",
    ),
    Mutation(
        "pretraining is as long as nominal episodes are",
        "training/trainer.py",
        "steps = min(self.state.step, self.seed_steps)",
        "steps = self.seed_steps",
        "tests/training/test_trainer.py"
        "::test_a_seed_phase_by_episodes_earns_as_many_updates_as_it_took_steps",
    ),
    Mutation(
        "a run is refused for a seed phase that ends early",
        "training/options.py",
        "return longest if self.seed_episodes is None else min(longest, LEAST_SEED_STEPS)",
        "return longest",
        "tests/training/test_options.py"
        "::test_a_seed_phase_may_be_over_once_so_many_episodes_have_ended",
    ),
    Mutation(
        "the squashed entropy has no factor A",
        "networks/policy.py",
        "sample.action.shape[-1] * (sample.squash - sample.log_prob_base)",
        "(sample.squash - sample.log_prob_base)",
        "tests/networks/test_policy.py"
        "::test_only_the_entropy_after_the_squashing_falls_where_actions_saturate",
    ),
    Mutation(
        "a narrower start is not kept within the bounds",
        "planning/start.py",
        "min(max(self.std, low), high)",
        "self.std",
        "tests/planning/test_start.py::test_a_shifted_plan_may_start_narrower",
    ),
    # --- the package
    Mutation(
        "a shared agent's tensors are all the first one",
        "deploy/sharing.py",
        "        return tensors[content]",
        '        return tensors["t0"]',
        "tests/deploy/test_sharing.py::test_what_comes_back_is_the_same_agent",
    ),
    Mutation(
        "early stopping waits for one evaluation more",
        "training/callbacks.py",
        "if self.waited >= self.patience and",
        "if self.waited > self.patience and",
        "tests/training/test_callbacks.py::test_early_stopping_waits_for_its_patience",
    ),
    Mutation(
        "W&B's frames leave out the action repeat",
        "runs/trackers.py",
        '"frame": step * self.about.action_repeat',
        '"frame": step',
        "tests/runs/test_metrics.py::test_wandb_gets_all_that_it_can_show",
    ),
    # --- ensemble of dynamics, depths, recency
    Mutation(
        "the heads of an ensemble learn from one roll-out",
        "networks/world_model.py",
        "            zs.append(self.dynamics.each(zs[-1], action))",
        "            zs.append(self.dynamics.each(zs[-1][:1], action))",
        f"{DYNAMICS}::test_the_losses_are_means_over_heads",
    ),
    Mutation(
        "every window keeps the first head's roll-out",
        "networks/dynamics.py",
        "head = torch.arange(zs.shape[-2], device=zs.device) % self.heads",
        "head = torch.arange(zs.shape[-2], device=zs.device) * 0",
        f"{DYNAMICS}::test_the_losses_are_means_over_heads",
    ),
    Mutation(
        "candidates are dealt out in blocks",
        "networks/dynamics.py",
        "return padded.unflatten(-2, (share, self.heads)).movedim(-2, 0)",
        "return padded.unflatten(-2, (self.heads, share)).movedim(-3, 0)",
        f"{DYNAMICS}::test_heads_take_turns",
    ),
    Mutation(
        "a state value's model step takes one head for all",
        "networks/dynamics.py",
        "return x.mean(0)",
        "return x[0]",
        f"{DYNAMICS}::test_a_state_values_model_steps_are_means_over_heads",
    ),
    Mutation(
        "a depth's value is discounted as the horizon's",
        "planning/depth_average.py",
        "return model.combine(total + discount * model.value(",
        "return model.combine(total + discount[-1:] * model.value(",
        f"{DEPTHS}::test_scores_are_means_over_heads_and_depths_minus_their_spread",
    ),
    Mutation(
        "the std of the estimates divides by one less",
        "agent/views.py",
        "coefficient * estimates.std(0, correction=0)",
        "coefficient * estimates.std(0, correction=1)",
        f"{DEPTHS}::test_re_analysis_alone_is_pessimistic",
    ),
    Mutation(
        "the mean over all critic heads leaves one out",
        "agent/views.py",
        "state_values(_at(networks, z, noise)).mean(0)",
        "state_values(_at(networks, z, noise))[1:].mean(0)",
        "tests/agent/test_views.py::test_all_critics_count_alike",
    ),
    Mutation(
        "acting is as pessimistic as re-analysis",
        "agent/agent.py",
        "self.view: View = view\n",
        "self.view: View = replan_view or view\n",
        f"{DEPTHS}::test_re_analysis_alone_is_pessimistic",
    ),
    Mutation(
        "old windows are likelier",
        "training/sampling.py",
        "return Drawn(lanes, counts[lanes] - 1 - np.minimum(ages, counts[lanes] - 1))",
        "return Drawn(lanes, np.minimum(ages, counts[lanes] - 1))",
        f"{SAMPLING}::test_a_long_memory_is_uniform_and_a_short_one_the_newest",
    ),
    Mutation(
        "age counts windows of one lane only",
        "training/sampling.py",
        "rate = len(counts) / self.tau",
        "rate = 1 / self.tau",
        f"{SAMPLING}::test_recent_windows_are_likelier_by_the_exponential_of_their_age",
    ),
    # --- faults and refusals
    Mutation(
        "a controller acts on NaN",
        "deploy/observations.py",
        "good = np.abs(obs) <= ABSURD  # False for NaN",
        "good = ~(np.abs(obs) > ABSURD)",
        "tests/deploy/test_observations.py::test_a_bad_entry_is_named",
    ),
    Mutation(
        "a controller does not look at its agent's parameters",
        "deploy/controller.py",
        "if versions != self._checked:",
        "if versions < self._checked:",
        "tests/deploy/test_observations.py::test_an_agent_that_is_not_finite_does_not_act",
    ),
    Mutation(
        "an action in the environment's units is rounded out of its bounds",
        "envs/actions.py",
        "return inner.astype(self._dtype)",
        "return inner.astype(np.float16).astype(self._dtype)",
        "tests/deploy/test_actions.py",
    ),
    Mutation(
        "a plan goes on past its deadline",
        "agent/deadline.py",
        "self.pace.expected(made + 1) + self.pace.expected(END) <= self.until",
        "self.pace.expected(END) <= self.until",
        "tests/deploy/test_controller.py::test_as_many_iterations_as_fit",
    ),
    Mutation(
        "a refused observation is held for ever",
        "deploy/controller.py",
        "before = zero if self.last is None else self.last.action",
        "before = zero",
        "tests/deploy/test_controller.py::test_the_fallback_acts_where_no_action_can_be_chosen",
    ),
    Mutation(
        "an exported program acts on what is not finite",
        "deploy/programs.py",
        "first = torch.where(obs.abs() <= ABSURD, size + 1, places).amin(-1)",
        "first = torch.where(obs.abs() > ABSURD, places, size + 1).amin(-1)",
        "tests/deploy/test_export.py::test_programs_that_raise_do_so_in_torch",
    ),
    Mutation(
        "a robot is reset before the updates between its episodes",
        "training/trainer.py",
        "        self.waiting |= done\n",
        "        self.waiting |= done\n        self.obs = self.envs.reset(done)\n",
        "tests/training/test_same_environment.py::test_a_robot_is_trained",
    ),
    Mutation(
        "lost time is made up for by steps that follow too fast",
        "training/control_rate.py",
        "            self._due = self.clock() + self.period\n\n    def lap",
        "            self._due += self.period\n\n    def lap",
        "tests/training/test_control_rate.py",
    ),
    Mutation(
        "an environment that says nothing is moved before its first episode",
        "envs/custom.py",
        "agent_env.assumed_restorable = False",
        "agent_env.assumed_restorable = True",
        "tests/training/test_same_environment.py::test_a_robot_is_trained",
    ),
    Mutation(
        "a fault under way counts as a refusal",
        "runs/outcome.py",
        "if attempt.begun or isinstance(error, MemoryError):",
        "if isinstance(error, MemoryError):",
        "tests/runs/test_outcome.py::test_codes",
    ),
    Mutation(
        "a run goes on when its metrics.csv is gone",
        "runs/metrics.py",
        "if not os.path.exists(file.name) or os.fstat(file.fileno()).st_nlink == 0:",
        "if not file.name:",
        "tests/system/test_faults_under_way.py::test_metrics_that_are_deleted",
    ),
    # --- losses and targets
    Mutation(
        "temporal weights start at rho^1",
        "core/math.py",
        "torch.arange(count, device=like.device, dtype=like.dtype)",
        "torch.arange(1, count + 1, device=like.device, dtype=like.dtype)",
        updates("tdmpc2"),
    ),
    Mutation(
        "target takes the mean of two heads instead of the min",
        "networks/critic.py",
        "target_pair: PairReduction = pair_min,",
        "target_pair: PairReduction = pair_mean,",
        updates("tdmpc2"),
    ),
    Mutation(
        "target from the online heads",
        "networks/critic.py",
        "self.target_pair(self.two_hot.decode(self.target_net(x, heads)))",
        "self.target_pair(self.two_hot.decode(self.online(x, heads)))",
        updates("tdmpc2"),
    ),
    Mutation(
        "target goes on beyond a termination",
        "networks/critic.py",
        "return batch.reward + at.model.discount * (1 - batch.terminated) * value",
        "return batch.reward + at.model.discount * value",
        agreement("tdmpc2-1"),
    ),
    Mutation(
        "target of state values without its discount",
        "networks/critic.py",
        "mean_over_heads(total + discount * value)",
        "mean_over_heads(total + value)",
        updates("bmpc"),
    ),
    Mutation(
        "no stop-gradient on the consistency targets",
        "agent/losses.py",
        "with torch.no_grad():\n            next_z",
        "with torch.enable_grad():\n            next_z",
        updates("tdmpc2"),
    ),
    Mutation(
        "termination read at the present latent",
        "networks/world_model.py",
        "logit = self.termination_net(zs[..., 1:, :, :]).squeeze(-1)",
        "logit = self.termination_net(before).squeeze(-1)",
        agreement("tdmpc2-1"),
    ),
    Mutation(
        "two-hot class takes the lower neighbour",
        "networks/two_hot.py",
        "upper = (lower + 1) % self.bins\n        both",
        "upper = (lower - 1) % self.bins\n        both",
        updates("tdmpc2"),
    ),
    Mutation(
        "dropout after the activation",
        "networks/layers.py",
        "        y = y if keep is None else y * keep\n"
        '        return self._finish(y, chosen(self.ln["weight"]), chosen(self.ln["bias"]))',
        '        y = self._finish(y, chosen(self.ln["weight"]), chosen(self.ln["bias"]))\n'
        "        return y if keep is None else y * keep",
        agreement("tdmpc2-2"),
    ),
    Mutation(
        "dropout without its rescaling",
        "core/noise.py",
        "mask = torch.full((size + 1,), 1 / (1 - rate), dtype=dtype, device=device)",
        "mask = torch.full((size + 1,), 1.0, dtype=dtype, device=device)",
        "tests/core/test_noise.py::test_dropout_values",
    ),
    Mutation(
        "one head may be drawn twice",
        "core/noise.py",
        "return uniform.argsort(-1)[:, :2]",
        "return (uniform * heads).long()[:, :2]",
        "tests/core/test_noise.py::test_pairs_are_two_different_heads",
    ),
    Mutation(
        "target critics ten times too fast",
        "networks/layers.py",
        "torch._foreach_lerp_(ours, theirs, rate)",
        "torch._foreach_lerp_(ours, theirs, 10 * rate)",
        updates("tdmpc2"),
    ),
    Mutation(
        "encoder learns at the full rate",
        "agent/parts.py",
        '"lr": lr * encoder_lr_scale}',
        '"lr": lr}',
        updates("tdmpc2"),
    ),
    Mutation(
        "gradients not clipped",
        "core/optim.py",
        "norm = nn.utils.clip_grad_norm_(self.params, self.max_norm)",
        'norm = nn.utils.clip_grad_norm_(self.params, float("inf"))',
        updates("tdmpc2"),
    ),
    # --- declared types and ranges
    Mutation(
        "a range includes its open end",
        "core/checks.py",
        "return value > condition.gt",
        "return value >= condition.gt",
        "tests/core/test_checks.py::test_what_fits",
    ),
    Mutation(
        "True counts as a number",
        "core/checks.py",
        "if isinstance(value, bool) or not isinstance(value, wanted):",
        "if not isinstance(value, wanted):",
        "tests/core/test_checks.py::test_a_number_fits_a_range_exactly_within_it",
    ),
    Mutation(
        "a part does not check its arguments",
        "core/registration.py",
        'check(f"{kind.__name__}.{name}", value, hints[name])',
        "pass",
        "tests/config/test_declared.py::test_a_part_refuses_what_its_annotation_excludes",
    ),
    Mutation(
        "bindings are not checked when they are read",
        "config/declared.py",
        "check(name, described, hint, text or repr(value))",
        "pass",
        "tests/config/test_declared.py::test_a_configuration_refuses_what_an_annotation_excludes",
    ),
    Mutation(
        "options may be abbreviated",
        "cli/arguments.py",
        "allow_abbrev=False,",
        "allow_abbrev=True,",
        "tests/cli/test_arguments.py::test_an_abbreviation_or_a_number_out_of_range_is_no_option",
    ),
    # --- the policy's objective
    Mutation(
        "policy's Adam with the model's epsilon",
        "agent/parts.py",
        "optimizer(parts.policy.parameters(), lr=lr, eps=policy_eps)",
        "optimizer(parts.policy.parameters(), lr=lr)",
        updates("tdmpc2"),
    ),
    Mutation(
        "last latent left out of the policy loss",
        "objective/kl_objective.py",
        "return zs if self.last_latent else zs[:-1]",
        "return zs[:-1]",
        updates("tdmpc2"),
    ),
    Mutation(
        "running scale moved after its use",
        "objective/kl_objective.py",
        "            scaled = q / statistics.value",
        "            scaled = q / self.statistics().value",
        updates("tdmpc2"),
    ),
    Mutation(
        "entropy is minimised",
        "objective/kl_objective.py",
        "gain = self.alpha * entropy",
        "gain = -self.alpha * entropy",
        updates("tdmpc2"),
    ),
    Mutation(
        "value still counts at lambda = infinity",
        "objective/kl_weight.py",
        "return torch.zeros_like(self.one), self.one",
        "return self.one, self.one",
        agreement("bc-0"),
    ),
    Mutation(
        "TD-M(PC)^2's lambda without its factor A",
        "objective/kl_weight.py",
        "self.value.fill_((self.medium_scale if medium else self.scale) * action_dim)",
        "self.value.fill_(self.medium_scale if medium else self.scale)",
        f"{GOLDEN}::test_tdmpc_square_actor[residual_scale3-f64]",
    ),
    Mutation(
        "KL in the other direction",
        "objective/divergence.py",
        "return self.reduce(gaussian_kl(Gaussian(sample.mean, sample.std), prior))",
        "return self.reduce(gaussian_kl(prior, Gaussian(sample.mean, sample.std)))",
        updates("bmpc"),
    ),
    Mutation(
        "one lambda in pretraining and in training",
        "objective/kl_weight.py",
        "self.one * self.in_pretraining if pretraining else self.lam(step)",
        "self.lam(step)",
        "tests/objective/test_kl_weight.py::test_lambda_is_told_of_pretraining",
    ),
    Mutation(
        "the worst trajectories are imitated most",
        "objective/sample_weights.py",
        "(earned - low) / (high - low)",
        "(high - earned) / (high - low)",
        "tests/objective/test_sample_weights.py::test_return_weights",
    ),
    Mutation(
        "a window's return is that of the episode before",
        "training/episode_returns.py",
        'return self.total[np.searchsorted(self.first, rows, side="right") - 1]',
        'return self.total[np.searchsorted(self.first, rows, side="left") - 1]',
        "tests/training/test_episode_returns.py",
    ),
    Mutation(
        "the shortest vector's weights swapped",
        "agent/policy_update.py",
        "return Shortest(c * one + (1 - c) * other, c)",
        "return Shortest((1 - c) * one + c * other, c)",
        "tests/agent/test_policy_update.py::test_neither_loss_rises_and_nothing_is_shorter",
    ),
    Mutation(
        "the critic's target earns the divergence instead of paying it",
        "networks/critic.py",
        "value = value - at.cost(z, at.noise[0], 1)",
        "value = value + at.cost(z, at.noise[0], 1)",
        "tests/objective/test_soft_value.py::test_the_stored_plan_of_the_next_observation_counts",
    ),
    Mutation(
        "a state value pays at its first state only",
        "networks/critic.py",
        "return made._replace(reward=made.reward - costs[-1])",
        "return made._replace(reward=made.reward - costs[0])",
        "tests/objective/test_soft_value.py::test_a_state_value_over_two_steps_pays_at_both",
    ),
    Mutation(
        "a missing plan counts in the soft value",
        "objective/soft_value.py",
        "return kappa * torch.where(known, divergence, 0.0)",
        "return kappa * divergence",
        "tests/objective/test_soft_value.py::test_the_stored_plan_of_the_next_observation_counts",
    ),
    Mutation(
        "gate open below the threshold instead of above",
        "objective/scale.py",
        "return torch.where(scales.value > self.threshold, 1 / scales.value, 0.0)",
        "return torch.where(scales.value < self.threshold, 1 / scales.value, 0.0)",
        agreement("residual-0"),
    ),
    Mutation(
        "planner's std without its floor in the cross-entropy",
        "objective/divergence.py",
        "return prior.std.clamp(min=floor)",
        "return prior.std",
        agreement("bc-0"),
    ),
    Mutation(
        "BOOM's weights averaged over the batch instead of summed",
        "objective/sample_weights.py",
        "return torch.softmax(value.detach(), dim=1) * value.shape[1]",
        "return torch.softmax(value.detach(), dim=1)",
        f"{GOLDEN}::test_boom_actor[boom_actor-scale3-f64]",
    ),
    Mutation(
        "gradient through the policy's std in BOOM's cross-entropy",
        "objective/divergence.py",
        "return sample.std.detach().clamp(min=floor)",
        "return sample.std.clamp(min=floor)",
        f"{GOLDEN}::test_boom_actor[boom_actor-scale3-f64]",
    ),
    Mutation(
        "AWAC's advantage with the usual sign",
        "objective/sample_weights.py",
        "advantage = (value - baseline).detach() / self.temperature",
        "advantage = (baseline - value).detach() / self.temperature",
        agreement("awac-0"),
    ),
    Mutation(
        "dual variable runs away from its target",
        "objective/kl_weight.py",
        "self.log_lam.add_(self.lr * (divergence - self.target))",
        "self.log_lam.add_(self.lr * (self.target - divergence))",
        "tests/objective/test_kl_weight.py::test_the_dual_variable_sees_the_raw_divergence",
    ),
    Mutation(
        "pretraining moves BMPC's policy",
        "agent/agent.py",
        "if self.pretrain_policy or not pretraining:",
        "if self.pretrain_policy or pretraining is not None:",
        agreement("bmpc-0"),
    ),
    # --- priors, re-analysis, replay
    Mutation(
        "learned prior fits steps without a plan",
        "objective/prior.py",
        "return (weights * (kl * planned).mean(1)).mean()",
        "return (weights * kl.mean(1)).mean()",
        "tests/objective/test_prior.py::test_fitting_loss_from_the_method",
    ),
    Mutation(
        "learned prior fitted one latent too late",
        "agent/agent.py",
        "metrics |= self.prior.fit(zs[:-1], batch)",
        "metrics |= self.prior.fit(zs[1:], batch)",
        f"{RULES}::test_the_learned_prior_is_fitted_at_the_latents_of_its_plans",
    ),
    Mutation(
        "lagged prior stays where it was",
        "agent/agent.py",
        "self.prior.after_policy_step(self.policy)",
        "pass",
        f"{RULES}::test_the_lagged_prior_follows_the_policy",
    ),
    Mutation(
        "re-analysis one update too early",
        "training/reanalysis.py",
        "if update % self.interval:",
        "if (update + 1) % self.interval:",
        agreement("bmpc-0"),
    ),
    Mutation(
        "re-analysis proposes within the policy's own log-std bounds",
        "agent/agent.py",
        "self._replanning = self.replan_view(frozen, replan_log_std_bounds)",
        "self._replanning = view(frozen, None)",
        agreement("bmpc-0"),
    ),
    Mutation(
        "re-analysis that runs elsewhere does so too",
        "agent/execution.py",
        "self._replanning = self.replanning_model()",
        "self._replanning = self.planning_model()",
        agreement("bmpc-0"),
    ),
    Mutation(
        "a loss moves the scales that are kept",
        "objective/scale.py",
        "return scale.lerp(percentile_range(x).clamp(min=1.0), self.rate)",
        "return scale.lerp_(percentile_range(x).clamp(min=1.0), self.rate)",
        "tests/agent/test_losses.py::test_a_loss_moves_nothing",
    ),
    Mutation(
        "the policy's scales are not kept",
        "agent/agent.py",
        "            self.objective.store(policy.statistics)\n",
        "",
        updates("bmpc"),
    ),
    Mutation(
        "renewed plans written to other windows' rows",
        "training/replay.py",
        "rows = index.flatten()",
        "rows = index.T.flatten()",
        f"{RULES}::test_renewed_plans_reach_their_own_steps",
    ),
    Mutation(
        "windows cross the end of an episode",
        "training/replay.py",
        "        self.run_length[lanes] = 0",
        "        self.run_length[lanes] = self.run_length[lanes]",
        f"{RULES}::test_windows_stay_within_one_episode",
    ),
    Mutation(
        "random steps stored as a narrow plan instead of N(0, 1)",
        "training/replay.py",
        'self.columns["plan_std"][rows] = 0.0, 1.0',
        'self.columns["plan_std"][rows] = 0.0, 0.05',
        f"{RULES}::test_renewed_plans_reach_their_own_steps",
    ),
    # --- the planner
    Mutation(
        "the other environments' plans are forgotten when an episode begins",
        "agent/actor.py",
        "begins = transfer.to_device(mask, self.warm_start.device)",
        "begins = transfer.to_device(~mask, self.warm_start.device)",
        "tests/agent/test_actor.py::test_an_episode_begins_without_a_plan",
    ),
    Mutation(
        "a score that is not a number wins",
        "planning/scoring.py",
        "return torch.nan_to_num(self.value(model, both, noise), nan=0.0)",
        "return torch.nan_to_num(self.value(model, both, noise), nan=1e9)",
        "tests/planning/test_mppi.py::test_nan_scores_count_as_zero",
    ),
    Mutation(
        "warm start not shifted",
        "planning/start.py",
        "mean[:-1] = previous[1:]",
        "mean[:-1] = previous[:-1]",
        plans("tdmpc2"),
    ),
    Mutation(
        "a piece of a batch gets the draws of the first states",
        "planning/mppi_noise.py",
        "candidates=noise.candidates.index_select(2, states),",
        "candidates=noise.candidates[:, :, : len(states)],",
        "tests/planning/test_mppi.py::test_a_batch_in_pieces_is_the_whole_batch[True-2]",
    ),
    Mutation(
        "a shared latent loses its part of the first layer",
        "networks/layers.py",
        "return self._finish(shared + linear(action.to(weight.dtype), weight[:, width:]))",
        "return self._finish(linear(action.to(weight.dtype), weight[:, width:]))",
        plans("tdmpc2"),
    ),
    Mutation(
        "bfloat16 weights stay those of the first plan",
        "agent/views.py",
        "torch._foreach_copy_(self._short, self._trained)",
        "pass",
        "tests/agent/test_views.py::test_short_weights_follow_the_updates",
    ),
    Mutation(
        "temperature divides",
        "planning/mppi.py",
        "weights = torch.softmax(self.temperature * elite_value, 1)",
        "weights = torch.softmax(elite_value / self.temperature, 1)",
        plans("tdmpc2"),
    ),
    Mutation(
        "elites are the worst",
        "planning/mppi.py",
        "value.topk(self.elites, dim=1)",
        "value.topk(self.elites, dim=1, largest=False)",
        plans("tdmpc2"),
    ),
    Mutation(
        "std not clipped",
        "planning/mppi.py",
        "std = variance.sqrt().clamp(self.min_std, self.max_std)",
        "std = variance.sqrt()",
        plans("tdmpc2"),
    ),
    Mutation(
        "terminal value not discounted",
        "planning/scoring.py",
        "return total + discount * model.value(last, noise.terminal, noise.heads)",
        "return total + model.value(last, noise.terminal, noise.heads)",
        plans("tdmpc2"),
    ),
    Mutation(
        "uncertainty of a latent discounted as what comes after it",
        "planning/scoring.py",
        "return Visited(last, total, discount, latents, before)",
        "return Visited(last, total, discount, latents, after)",
        "tests/planning/test_scoring.py::test_scores_with_uncertainty[spread]",
    ),
    Mutation(
        "uncertainty relative to each sequence's own mean",
        "planning/scoring.py",
        "return values.mean((0, 2)).unsqueeze(1) * values.std(0)",
        "return values.mean(0) * values.std(0)",
        "tests/planning/test_scoring.py::test_scores_with_uncertainty[times mean]",
    ),
    Mutation(
        "uncertainty adds to the score",
        "planning/scoring.py",
        "return value - self.coefficient *",
        "return value + self.coefficient *",
        "tests/planning/test_scoring.py::test_uncertainty_moves_the_plan",
    ),
    Mutation(
        "terminal value from one head",
        "networks/critic.py",
        "return pair_mean(self.two_hot.decode(self.online(x, heads)))",
        "return pair_mean(self.two_hot.decode(self.online(x, heads[:1])))",
        plans("tdmpc2"),
    ),
    Mutation(
        "planner looks beyond a predicted termination",
        "networks/world_model.py",
        "        next_z = self.next(z, action)\n"
        "        return Step(next_z, self.reward(z, action), self.discount * self.alive(next_z))",
        "        next_z = self.next(z, action)\n"
        "        next = self.discount.expand(next_z.shape[:-1])\n"
        "        return Step(next_z, self.reward(z, action), next)",
        agreement("tdmpc2-1"),
    ),
    Mutation(
        "plan's mean handed out for the picked elite",
        "planning/elites.py",
        "action = first if greedy",
        "action = last.mean[0] if greedy",
        plans("tdmpc2"),
    ),
    # --- further choices of planners
    Mutation(
        "coloured noise of half the exponent",
        "planning/candidates.py",
        "power = frequency**-self.beta",
        "power = frequency ** (-self.beta / 2)",
        "tests/planning/test_candidates.py::test_the_spectrum_is_a_power_of_the_frequency",
    ),
    Mutation(
        "coloured draws in the reverse order of the steps",
        "planning/candidates.py",
        "self._mixing[key], draws)",
        "self._mixing[key].flip(0), draws)",
        "tests/planning/test_candidates.py::test_beta_zero_is_white_noise",
    ),
    Mutation(
        "a population below twice its elites",
        "planning/candidates.py",
        "max(int(samples / self.factor**iteration), 2 * elites)",
        "max(int(samples / self.factor**iteration), elites)",
        "tests/planning/test_candidates.py::test_the_population_shrinks_to_twice_the_elites",
    ),
    Mutation(
        "kept elites not shifted by a step",
        "planning/elites.py",
        "later = torch.cat([kept[1:], last",
        "later = torch.cat([kept[:-1], last",
        "tests/planning/test_elites.py::test_elites_join_the_next_candidates",
    ),
    Mutation(
        "kept elites where an episode begins",
        "planning/elites.py",
        "return later * _there(kept)",
        "return later",
        "tests/planning/test_elites.py::test_elites_join_the_next_candidates",
    ),
    Mutation(
        "the spread about the mean instead of the best elite",
        "planning/elites.py",
        "(first - best.unsqueeze(1)).square()",
        "(first - first.mean(1, True)).square()",
        "tests/planning/test_elites.py::test_the_spread_about_the_best_is_reported",
    ),
    Mutation(
        "the second-best elite is executed",
        "planning/elites.py",
        "return torch.zeros_like(last.elites[:, :1])",
        "return torch.ones_like(last.elites[:, :1])",
        "tests/planning/test_elites.py::test_the_best_elite_is_executed",
    ),
    Mutation(
        "the policy's moments never fade",
        "planning/start.py",
        "(1 - (step - self.start) / self.decay).clamp(0, 1)",
        "(1 - 0 * (step - self.start) / self.decay).clamp(0, 1)",
        "tests/planning/test_start.py::test_an_old_agent_starts_from_its_last_plan",
    ),
    Mutation(
        "the agent step does not reach the planner",
        "agent/actor.py",
        "greedy=greedy, step=now",
        "greedy=greedy, step=None",
        "tests/planning/test_start.py::test_the_step_reaches_the_planner",
    ),
    Mutation(
        "the reported std is never below the policy's where it may be",
        "planning/gradient_report.py",
        "std = (self.share * spread_about(first, best)).clamp",
        "std = torch.maximum(policy.std, self.share * spread_about(first, best)).clamp",
        "tests/planning/test_gradient_report.py::test_the_spread_is_a_share_within_bounds",
    ),
    Mutation(
        "the gradient planner descends",
        "planning/gradient.py",
        "actions = (state.actions + step).clamp(-1, 1)",
        "actions = (state.actions - step).clamp(-1, 1)",
        "tests/planning/test_gradient.py::test_a_quadratic_return_reaches_its_optimum",
    ),
    Mutation(
        "a failed gradient step stays",
        "planning/gradient.py",
        "kept = better if self.halve_on_failure",
        "kept = torch.ones_like(better) if self.halve_on_failure",
        "tests/planning/test_gradient.py::test_halving_never_falls_below_the_best_start",
    ),
    Mutation(
        "all sequences share one gradient norm",
        "planning/gradient.py",
        "state.gradient.square().sum((0, 3), keepdim=True).sqrt()",
        "state.gradient.square().sum((0, 2, 3), keepdim=True).sqrt()",
        "tests/planning/test_gradient.py::test_a_step_follows_the_normalised_gradient",
    ),
    Mutation(
        "uncertainty attracts the ascent",
        "planning/gradient.py",
        "return value, value - self.beta *",
        "return value, value + self.beta *",
        "tests/planning/test_gradient.py::test_a_step_follows_the_normalised_gradient",
    ),
    Mutation(
        "the last plan reused without a shift",
        "planning/gradient.py",
        "previous[t + 1].unsqueeze(1)",
        "previous[t].unsqueeze(1)",
        "tests/planning/test_gradient.py::test_starts_mix_the_last_plan_with_the_policy",
    ),
    Mutation(
        "the worst sequence is the plan",
        "planning/gradient.py",
        "state.value.max(1, keepdim=True)",
        "state.value.min(1, keepdim=True)",
        "tests/planning/test_gradient.py::test_without_steps_it_is_the_best_rollout",
    ),
    # --- compiled
    Mutation(
        "a compiled plan's iterations are not compiled",
        "planning/mppi.py",
        "self._iterate = compiled(self.iterate, device)",
        "self._iterate = self.iterate",
        "tests/agent/test_execution.py::test_compiled_plans_are_the_goldens",
    ),
    Mutation(
        "compiled code runs another agent's layers",
        "compute/compilation.py",
        "isolate_recompiles=True",
        "isolate_recompiles=False",
        "tests/compute/test_compilation.py::test_each_function_runs_its_own_network",
    ),
    Mutation(
        "compiled code reads weights of another dtype",
        "compute/compilation.py",
        'entry.guard_type == "TENSOR_MATCH"',
        "False",
        "tests/compute/test_compilation.py::test_another_shape_or_dtype_is_compiled_anew",
    ),
    Mutation(
        "compiled Mish overflows",
        "compute/activations.py",
        "torch.exp(x.clamp(max=20.0))",
        "torch.exp(x)",
        "tests/compute/test_activations.py::test_mish_over_all_floats",
    ),
    # --- on a GPU
    Mutation(
        "a recorded call sees the first call's arguments",
        "compute/cuda_graphs.py",
        "        copy_all(self.inputs, given)",
        "        pass",
        f"{GRAPHS}::test_recorded_updates_are_the_updates[tdmpc2_equiv]",
    ),
    Mutation(
        "a graph's own results are handed out",
        "compute/cuda_graphs.py",
        "else t.clone())",
        "else t)",
        f"{GRAPHS}::test_recorded_plans_follow_the_updates",
    ),
    Mutation(
        "graphs outlive what they write to",
        "agent/agent.py",
        "        self.restored += 1\n",
        "",
        f"{GRAPHS}::test_a_restored_agent_is_recorded_anew",
    ),
    Mutation(
        "lambda is computed within what is recorded",
        "agent/agent.py",
        "self.policy_loss(parts, scales, z, prior, batch, lam_weights, noise)",
        "self.policy_loss(parts, scales, z, prior, batch, self.objective.lam.weights(0), noise)",
        f"{GRAPHS}::test_lambda_follows_the_step",
    ),
    Mutation(
        "percentiles from a tensor of Python numbers",
        "core/math.py",
        "torch.linspace(low, high, 2, dtype=x.dtype, device=x.device)",
        "torch.tensor([low, high], dtype=x.dtype, device=x.device)",
        f"{WAITING}::test_draws_and_the_optimiser_never_wait[tdmpc2_equiv]",
    ),
    Mutation(
        "the metrics are checked after every update",
        "training/trainer.py",
        "        if self.health.due:\n            self.health.check()\n",
        "        self.health.check()\n",
        f"{WAITING}::test_one_transfer_an_environment_step[pompc_adaptive_rkl-meta-6]",
    ),
    # --- HumanoidBench
    Mutation(
        "rewards read up-to-date quantities",
        "envs/humanoid_bench/readings.py",
        "mujoco.mj_subtreeVel(self._model, data)",
        "mujoco.mj_forward(self._model, data)",
        f"{HUMANOID}::test_one_substep_lag_and_float32_controls",
    ),
    Mutation(
        "control ranges in double precision",
        "envs/humanoid_bench/env.py",
        "actuator_ctrlrange.astype(np.float32).T",
        "actuator_ctrlrange.T",
        f"{HUMANOID}::test_one_substep_lag_and_float32_controls",
    ),
    Mutation(
        "noisy quaternions left as they are",
        "envs/humanoid_bench/env.py",
        "        mujoco.mj_normalizeQuat(self.model, self.data.qpos)\n",
        "",
        f"{HUMANOID}::test_reset_noise_is_uniform[walk]",
    ),
    Mutation(
        "hurdles count as barriers",
        "envs/humanoid_bench/rewards.py",
        'any("barrier" in pair for pair',
        'any("hurdle" in pair for pair',
        f"{HUMANOID}::test_collisions_cost_nine_tenths",
    ),
    # --- resuming
    Mutation(
        "the warm start is not restored",
        "training/checkpointing.py",
        'trainer.actor.warm_start.copy_(state["warm_start"])',
        "trainer.actor.warm_start.zero_()",
        "tests/system/test_resuming.py::test_mujoco_tasks_resume_exactly_within_an_episode"
        "[dmc:cartpole-swingup]",
    ),
    Mutation(
        "rewritten plans are not saved",
        "training/replay.py",
        'self.logs["plans"].mark(rows)',
        "pass",
        "tests/training/test_replay.py::TestReplayMachine::runTest",
    ),
    Mutation(
        "the last observation of an ended episode is the next one's first",
        "envs/vec.py",
        "obs = np.where(done[:, None], self._final(info, done), obs)",
        "obs = np.where(done[:, None], obs, obs)",
        "tests/envs/test_vec.py::test_no_transition_crosses_a_reset[SAME_STEP]",
    ),
    Mutation(
        "a step that only begins an episode is stored",
        "envs/vec.py",
        "taken = ~self._begins",
        "taken = self._begins | True",
        "tests/envs/test_vec.py::test_no_transition_crosses_a_reset[NEXT_STEP]",
    ),
    Mutation(
        "a pool's repeats go on after the end",
        "envs/pool.py",
        "rows = np.flatnonzero(~(terminated | truncated)).astype(np.int32)",
        "rows = np.arange(n, dtype=np.int32)",
        "tests/envs/test_pool.py::test_action_repeat_sums_rewards_and_stops_at_the_end",
        needs="envpool",
    ),
    Mutation(
        "success counts at the last step alone",
        "training/evaluation.py",
        "_rate(np.fmax.reduce(self.success))",
        "_rate(self.success[-1])",
        "tests/training/test_evaluation.py::test_success_is_counted_at_any_step_and_at_the_last",
    ),
    Mutation(
        "an episode is replayed without its last action",
        "envs/view.py",
        "for action in actions:",
        "for action in actions[:-1]:",
        "tests/envs/test_restoring.py::test_restored_within_an_episode[toy:point]",
    ),
    Mutation(
        "the generators go on where the new process has them",
        "training/checkpointing.py",
        'trainer.generators.load_state_dict(state["generators"], trainer.seed, trainer.state.step)',
        "pass",
        RESUME,
    ),
    Mutation(
        "a retired segment's rows are not written again",
        "runs/row_log.py",
        "changed |= rest",
        "pass",
        "tests/runs/test_row_log.py::test_a_log_restores_the_table_and_stays_small",
    ),
    Mutation(
        "checksums are not compared",
        "runs/manifest.py",
        'if digest.hexdigest() != entry["sha256"]:',
        "if False:",
        "tests/runs/test_checkpoint_store.py::"
        "test_a_checkpoint_that_could_not_be_used_is_not_counted_as_kept",
    ),
    Mutation(
        "a run whose checkpoints are all damaged begins anew",
        "runs/checkpoint_store.py",
        "if damaged is None and listed:",
        "if False:",
        "tests/system/test_damaged_checkpoints.py::"
        "test_without_a_good_checkpoint_nothing_is_touched[spoil_manifests]",
    ),
    Mutation(
        "the checksum of an agent's file is not compared",
        "runs/seal.py",
        "if digest.hexdigest().encode() != comment[len(MARK) :]:",
        "if False:",
        "tests/agent/test_checkpoint.py::test_every_flipped_bit_is_refused_and_the_agent_stays",
    ),
    Mutation(
        "modules that a folder names are imported unasked",
        "config/trust.py",
        "if new:",
        "if False:",
        "tests/system/test_foreign_code.py::"
        "test_resume_runs_no_code_of_the_folder[list_in_run_json]",
    ),
    Mutation(
        "the environment that a folder names is made unasked",
        "config/trust.py",
        "if module and module not in given:",
        "if False:",
        "tests/system/test_foreign_code.py::test_resume_runs_no_code_of_the_folder[name_as_task]",
    ),
    Mutation(
        "windows over lost rows can be sampled",
        "training/lost_rows.py",
        "starts.keep(np.all(~missing[windows], axis=1))",
        "pass",
        "tests/training/test_lost_rows.py::test_no_window_has_a_lost_row_and_no_other_is_missing",
    ),
    # --- diagnostics and analysis
    Mutation(
        "gradient variance of groups for that of samples",
        "training/diagnostics.py",
        "return between * (z.shape[-2] // groups)",
        "return between",
        "tests/training/test_diagnostics.py::test_gradient_variance_is_that_of_single_samples",
    ),
    Mutation(
        "a terminated episode's tail is bootstrapped",
        "training/diagnostics.py",
        "tail = np.where(episodes.terminated, 0.0, ",
        "tail = np.where(False, 0.0, ",
        "tests/training/test_diagnostics.py::test_value_return_is_the_discounted_sum",
    ),
    Mutation(
        "looking at a prior spends its draws",
        "agent/agent.py",
        "            self._prior_draws.set_state(state)",
        "            pass",
        "tests/training/test_diagnostics.py::test_training_is_the_same_without[True]",
    ),
    Mutation(
        "interquartile mean cuts a third",
        "analysis/statistics.py",
        "cut = flat.shape[-1] // 4",
        "cut = flat.shape[-1] // 3",
        "tests/analysis/test_statistics.py::test_iqm_is_the_trimmed_mean",
    ),
    Mutation(
        "published frames read as agent steps",
        "analysis/published_files.py",
        'rows["agent_step"] = rows["step"] // repeat',
        'rows["agent_step"] = rows["step"]',
        "tests/analysis/test_published.py::test_steps_have_both_units",
    ),
    Mutation(
        "runs that got furthest alone make the end of a mean",
        "analysis/aggregate.py",
        'values="value").dropna()',
        'values="value").ffill()',
        "tests/analysis/test_aggregate.py::test_curves_of_one_two_and_three_seeds",
    ),
    Mutation(
        "a grid's values do not reach its runs",
        "study/grid.py",
        "params = (*study.params, *_bindings({**cell.point, **values}))",
        "params = (*study.params, *_bindings(values))",
        "tests/study/test_grid.py::test_a_run_for_each_member_task_value_and_seed",
    ),
    Mutation(
        "an unfinished run's agent is packed for a release",
        "deploy/bundle.py",
        "if last < steps:",
        "if last > steps:",
        "tests/deploy/test_bundle.py::test_what_is_no_finished_run_is_refused",
        needs="huggingface_hub",
    ),
    Mutation(
        "a search prunes by other seeds' curves",
        "study/search.py",
        "self._curve(names[n]) for n in begun",
        "self._curve(name) for name in names",
        "tests/study/test_search.py::test_a_trial_below_the_median_is_given_up_with_all_its_runs",
        needs="optuna",
    ),
    Mutation(
        "a search draws a setting twice",
        "study/trials.py",
        "if values not in tried:",
        "if values:",
        "tests/study/test_search.py::test_a_killed_search_asks_for_nothing_twice",
        needs="optuna",
    ),
    Mutation(
        "a run of a lengthened study counts as finished",
        "study/state.py",
        'there and last["steps"] >= run.steps',
        "there",
        "tests/study/test_state.py::test_states",
    ),
    Mutation(
        "the end of a job that was taken over from counts",
        "study/state.py",
        'foreign = foreign and event["code"] != DONE',
        "foreign = False",
        "tests/study/test_state.py::test_states",
    ),
    Mutation(
        "without locks a file left behind is the lock",
        "runs/lock.py",
        "fallback_to_soft=False",
        "fallback_to_soft=True",
        "tests/system/test_faults.py::test_a_file_system_without_locks",
    ),
    Mutation(
        "a folder that cannot be synced ends a run",
        "runs/atomic.py",
        "if error.errno not in UNABLE:",
        "if True:",
        "tests/runs/test_atomic.py::test_a_folder_that_cannot_be_synced_is_no_error",
    ),
    Mutation(
        "a scheduler's repeated signal kills a run",
        "runs/signals.py",
        "if name == self.received and now - self._when < SAME:",
        "if False:",
        "tests/runs/test_signals.py::test_a_repeated_signal_is_one_request",
    ),
    # --- threads, compiling, evaluation, the forecast
    Mutation(
        "every core counts, whatever the sizes",
        "compute/threads.py",
        "max(1, min(cores, work // WORK_PER_THREAD))",
        "max(1, cores)",
        "tests/compute/test_threads.py::test_threads_by_size_and_cores",
    ),
    Mutation(
        "a control group above sets no limit",
        "compute/threads.py",
        "for folder in (group, *group.parents):",
        "for folder in (group,):",
        "tests/compute/test_threads.py::test_control_groups_version_2",
    ),
    Mutation(
        "a resumed run takes another number of threads",
        "cli/machine.py",
        "    if args.threads is None:\n        args.threads = threads.by_rule(work)",
        "    if True:\n        args.threads = threads.by_rule(work)",
        "tests/cli/test_machine.py::test_a_run_records_its_number_and_keeps_it",
    ),
    Mutation(
        "compiling costs nothing",
        "compute/compiling.py",
        "return saved(calls, work) > MARGIN * COST",
        "return saved(calls, work) > 0",
        "tests/compute/test_compiling.py::test_short_runs_stay_eager_and_long_ones_compile",
    ),
    Mutation(
        "updates do not count for compiling",
        "cli/machine.py",
        "return planned / num_envs + updates",
        "return planned / num_envs",
        "tests/cli/test_machine.py::test_calls_are_plans_and_updates",
    ),
    Mutation(
        "an evaluation gives an episode another one's draws",
        "agent/actor.py",
        "noise = agent.planner.noise_of_states(noise, states)",
        "noise = agent.planner.noise_of_states(noise, states - states.min())",
        "tests/agent/test_actor.py::test_an_actor_plans_for_those_that_run",
    ),
    Mutation(
        "the forecast leaves evaluations out",
        "training/forecast.py",
        "evaluating = (min(count, 1) if self.beside else count) * self.evaluation",
        "evaluating = 0.0",
        "tests/training/test_forecast.py::test_every_part_is_counted",
    ),
    Mutation(
        "the rows of an evaluation beside the training come after those of later steps",
        "training/evaluations.py",
        "self.logger.hold()  # rows stay in the order of agent steps",
        "pass",
        f"{BESIDE}::test_numbers_files_and_state_are_the_same",
    ),
    Mutation(
        "an evaluation runs beside a training whose other core is busy",
        "training/evaluations.py",
        "self._asked = state.step, self.beside()",
        "self._asked = state.step, True",
        f"{BESIDE}::test_with_a_busy_core_an_evaluation_runs_in_line",
    ),
    Mutation(
        "a core that waits for the disk is busy",
        "compute/idle.py",
        "int(c[_IDLE]) + int(c[_WAITING])",
        "int(c[_IDLE])",
        "tests/compute/test_idle.py::test_two_cores",
    ),
    Mutation(
        "a stop keeps a checkpoint that has forgotten the evaluation under way",
        "training/checkpointing.py",
        "if self.path is not None and self.trainer.evaluations.abandoned:",
        "if False:",
        f"{BESIDE}::test_a_stop_while_one_is_under_way_keeps_the_checkpoint_before_it",
    ),
    Mutation(
        "checkpoints go on while an evaluation is under way",
        "training/checkpointing.py",
        "if trainer.evaluations.under_way is not None:",
        "if False:",
        f"{BESIDE}::test_a_crash_while_one_is_under_way",
    ),
    Mutation(
        "a copy of the process outlives it",
        "runs/beside.py",
        "ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)",
        "pass",
        "tests/runs/test_beside.py::test_the_copy_ends_with_a_killed_parent",
    ),
    Mutation(
        "a size in between compiles too",
        "planning/mppi.py",
        'return z.device.type != "cpu" or z.shape[0] in sizes',
        "return True",
        "tests/planning/test_mppi.py::test_a_batch_in_pieces_is_the_whole_batch[True-100]",
    ),
    # --- the order of the rooms
    Mutation(
        "mathematics import an environment",
        "core/math.py",
        "    return torch.sign(x) * torch.log1p(torch.abs(x))",
        "    import mppi_zoo.envs.seeding\n\n    return torch.sign(x) * torch.log1p(torch.abs(x))",
        "tests/test_structure.py::test_a_room_imports_only_from_rooms_before_it",
    ),
]


class Result(NamedTuple):
    passed: bool
    seconds: float
    code: int
    output: str


def shared_folder() -> str:
    """Where the golden numbers lie; a copy of the repository has none beside it."""
    return os.environ.get("MPPI_ZOO_SHARED") or str(ROOT.parent / "shared")


def preload() -> None:
    """Import once what every test process needs; nothing of this repository."""
    for module in PRELOADED:
        importlib.import_module(module)
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    hypothesis = importlib.import_module("hypothesis")
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # any failure will do
    hypothesis.settings.register_profile(
        "mutations", max_examples=20, deadline=None, derandomize=True, phases=phases
    )
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1)
    torch.optim.Adam([parameter], fused=True).step()  # the first one imports a good deal more


def pytest_process(copy: Path, tests: list[str], log: Path) -> None:
    """Body of the child: pytest in the copy, whose modules come before the installed ones."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(copy)
    os.environ["MPPI_ZOO_SHARED"] = shared_folder()
    os.environ["HYPOTHESIS_PROFILE"] = "mutations"  # tests/conftest.py loads it
    # a mutated file may have the size and the second of the one before it
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(copy))
    pytest = importlib.import_module("pytest")
    options = ["-x", "-q", "-rs", "--tb=line", "--disable-warnings", "-p", "no:cacheprovider"]
    code = int(pytest.main([*options, *tests]))
    package = sys.modules["mppi_zoo"].__file__
    assert package and Path(package).is_relative_to(copy), f"tested {package}"
    sys.stdout.flush()
    os._exit(code)


class Running:
    """pytest on some tests in a copy; a forked child spares the imports, longer than most tests."""

    def __init__(self, copy: Path, tests: list[str]) -> None:
        self.log, self.limit = copy / "pytest.log", TIMEOUT * len(tests)
        self.begun = time.perf_counter()
        self.child = multiprocessing.get_context("fork").Process(
            target=pytest_process, args=(copy, tests, self.log)
        )
        self.child.start()

    def over(self) -> bool:
        """Whether it ended, or took too long."""
        return not self.child.is_alive() or time.perf_counter() - self.begun > self.limit

    def result(self) -> Result:
        """What came of it, once it is over; what goes on is stopped."""
        seconds, stopped = time.perf_counter() - self.begun, self.child.is_alive()
        if stopped:
            self.child.kill()
        self.child.join()
        output = self.log.read_text() if self.log.exists() else ""
        if stopped:
            output += f"\nstopped after {self.limit:.0f} s"
        code = self.child.exitcode if self.child.exitcode is not None else -1
        skipped = re.search(r"\b\d+ skipped", output) is not None
        return Result(code == 0 and not skipped, seconds, code, output)


def side_by_side(
    copies: list[Path],
    tasks: Iterable[Task],
    begin: Callable[[Path, Task], Running],
    end: Callable[[Path, Task, Result], None],
) -> None:
    """Every task in one of the copies, as many at a time as there are copies."""
    free, left = list(copies), deque(tasks)
    active: list[tuple[Path, Task, Running]] = []
    while left or active:
        while left and free:
            copy, task = free.pop(), left.popleft()
            active.append((copy, task, begin(copy, task)))
        sentinels: list[Any] = [running.child.sentinel for *_, running in active]
        wait(sentinels, timeout=1.0)
        for copy, task, running in [entry for entry in active if entry[2].over()]:
            active.remove((copy, task, running))
            end(copy, task, running.result())
            free.append(copy)


def does_not_fit(copy: Path, mutation: Mutation) -> str:
    """Why the fault cannot be seeded, or nothing."""
    source = (copy / "mppi_zoo" / mutation.file).read_text()
    count = source.count(mutation.old)
    if count != 1:
        where = f"expected once in mppi_zoo/{mutation.file}, found {count} times"
        return f"{mutation.name}: {where}:\n    {mutation.old}"
    try:
        compile(source.replace(mutation.old, mutation.new), mutation.file, "exec")
    except SyntaxError as error:
        return f"{mutation.name}: {error}"
    return ""


def outcome(result: Result) -> str:
    """A fault counts as noticed where an expectation failed, not where the program broke."""
    if result.code == 0:
        return "SURVIVED"
    failed = result.code == 1 and re.search(r"AssertionError|assert |DID NOT RAISE", result.output)
    return "killed" if failed else "BROKEN"


def unchanged(copies: list[Path], tests: list[str]) -> list[Result]:
    """All tests without a fault, dealt out to the copies."""
    results: list[Result] = []
    count = len(copies)
    side_by_side(
        copies,
        [part for i in range(count) if (part := tests[i::count])],
        Running,
        lambda copy, part, result: results.append(result),
    )
    return results


def mutate(copies: list[Path], chosen: list[Mutation]) -> list[tuple[Mutation, str, float]]:
    """The verdict on each mutation, in the order of the list, and its seconds."""
    rows: dict[str, tuple[Mutation, str, float]] = {}

    def begin(copy: Path, mutation: Mutation) -> Running:
        path = copy / "mppi_zoo" / mutation.file
        path.write_text(path.read_text().replace(mutation.old, mutation.new))
        return Running(copy, [mutation.test])

    def end(copy: Path, mutation: Mutation, result: Result) -> None:
        shutil.copyfile(ROOT / "mppi_zoo" / mutation.file, copy / "mppi_zoo" / mutation.file)
        verdict = outcome(result)
        rows[mutation.name] = mutation, verdict, result.seconds
        print(f"{verdict:>8}  {result.seconds:5.1f} s  {mutation.name}", flush=True)
        if verdict == "BROKEN":
            print(result.output)

    side_by_side(copies, chosen, begin, end)
    return [rows[mutation.name] for mutation in chosen]


def print_table(rows: list[tuple[Mutation, str, float]]) -> None:
    names = [m.name for m, *_ in rows]
    width, file_width = max(map(len, names)), max(len(m.file) for m, *_ in rows)
    test_width = max(len(m.test) for m, *_ in rows)
    print(f"\n{'mutation':{width}}  {'file':{file_width}}  {'test':{test_width}}  result")
    for mutation, verdict, seconds in rows:
        print(
            f"{mutation.name:{width}}  {mutation.file:{file_width}}  {mutation.test:{test_width}}  "
            f"{verdict} ({seconds:.1f} s)"
        )


def make_copy(copy: Path) -> Path:
    """What the tests need of this repository."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
            shutil.copytree(source, copy / name, ignore=ignored)
        else:
            shutil.copy2(source, copy / name)
    return copy


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="do the tests notice faults?")
    parser.add_argument("words", nargs="*", help="parts of mutations' names; none: all of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="copies at a time")
    args = parser.parse_args(given)
    if args.jobs < 1:
        parser.error(f"--jobs {args.jobs}: expected at least 1")
    chosen = [m for m in MUTATIONS if not args.words or any(word in m.name for word in args.words)]
    for left_out in [m for m in chosen if m.needs and not importlib.util.find_spec(m.needs)]:
        print(f"left out, since {left_out.needs} is not installed: {left_out.name}")
        chosen.remove(left_out)
    if not chosen:
        print(f"no mutation has {' or '.join(map(repr, args.words))} in its name", file=sys.stderr)
        return 2
    begun = time.perf_counter()
    preload()
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        count = min(args.jobs, len(chosen), 8)
        copies = [make_copy(Path(folder).resolve() / str(number)) for number in range(count)]
        misfits = [misfit for m in chosen if (misfit := does_not_fit(copies[0], m))]
        if misfits:
            print("\n".join(misfits), file=sys.stderr)
            return 2
        tests = sorted({mutation.test for mutation in chosen})
        for result in unchanged(copies, tests):
            if not result.passed:
                print("the tests do not all run and pass without a fault:\n" + result.output)
                return 2
        seconds = time.perf_counter() - begun
        print(f"{len(tests)} tests pass without a fault ({seconds:.1f} s)", flush=True)
        rows = mutate(copies, chosen)
    print_table(rows)
    failures = sum(verdict != "killed" for _, verdict, _ in rows)
    print(f"\n{len(rows) - failures} of {len(rows)} killed, {time.perf_counter() - begun:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
