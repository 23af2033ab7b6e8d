"""POMPCAgent: one KL-regularised agent; each published method is a choice of its parts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mppi_zoo.agent.losses import ModelLoss, ModelTerms, policy_loss
from mppi_zoo.agent.parts import Optimizers, build_parts
from mppi_zoo.agent.policy_update import PolicyUpdate, WeightedSum
from mppi_zoo.agent.views import Networks, View, frozen_view, mean_view
from mppi_zoo.compute import transfer
from mppi_zoo.core.noise import draw_update_noise
from mppi_zoo.core.ranges import Seed
from mppi_zoo.core.registration import register
from mppi_zoo.core.rng import generator_for, restore_generator
from mppi_zoo.core.types import Batch, EnvSpec, Gaussian, UpdateNoise
from mppi_zoo.networks.critic import QCritic, VCritic
from mppi_zoo.networks.policy import LogStdBounds, Policy
from mppi_zoo.networks.world_model import WorldModel
from mppi_zoo.objective.kl_objective import KLObjective
from mppi_zoo.objective.kl_weight import LamWeights
from mppi_zoo.objective.prior import Prior
from mppi_zoo.planning.base import Planner, PlanningModel, PlanResult


@register
class POMPCAgent:
    """World model, critic, policy, prior and planner under one objective.

    Its methods are the mathematics, run as they stand; :class:`~mppi_zoo.agent.execution.Execution`
    runs the same ones compiled or recorded. Parts that need sizes come as classes (or factories),
    the others as instances.

    Args:
        spec: the environment's sizes.
        world_model: (spec) -> :class:`WorldModel`.
        policy: (sizes) -> :class:`Policy`.
        critic: (sizes) -> :class:`QCritic` or :class:`VCritic`.
        prior: (parts) -> :class:`Prior`.
        objective: the policy's objective.
        planner: acting, proposals from the policy.
        model_loss: the loss of model and critics.
        policy_update: how the policy's loss moves the policy.
        optimizers: (parts) -> :class:`~mppi_zoo.agent.parts.Optimizers`.
        view: (networks, log-std bounds) -> what a planner sees of the agent.
        replan_view: the same in re-analysis; None: the same view.
        pretrain_policy: whether pretraining updates touch the policy and the prior too
            (TD-MPC2) or the model only (BMPC, PO-MPC).
        replan_log_std_bounds: log-std bounds of the policy's proposals in re-analysis; None
            keeps the policy's own.
        seed: of the draws that a prior makes by itself; initial parameters come from torch's.
    """

    def __init__(
        self,
        spec: EnvSpec,
        world_model: Callable[..., WorldModel],
        policy: Callable[..., Policy],
        critic: Callable[..., QCritic | VCritic],
        prior: Callable[..., Prior],
        objective: KLObjective,
        planner: Planner,
        model_loss: ModelLoss | None = None,
        policy_update: PolicyUpdate | None = None,
        optimizers: Callable[..., Optimizers] = Optimizers,
        view: View = mean_view,
        replan_view: View | None = None,
        pretrain_policy: bool = True,
        replan_log_std_bounds: LogStdBounds | None = (-2.0, 1.0),
        seed: Seed = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        self.spec, self.planner = spec, planner
        self.view: View = view
        self.replan_view: View = replan_view or view
        self.device, self.dtype = transfer.same_device(device), dtype
        self._prior_draws = generator_for(seed, "fresh planner", self.device)
        factories = (world_model, policy, critic, prior)
        kind = (self.device, self.dtype)
        self.parts = build_parts(spec, *factories, objective, self._replan_now, *kind)
        self.world_model, self.critic, self.policy, self.prior, self.objective = self.parts
        losses = model_loss or ModelLoss()
        losses.check(self.parts)
        self.model_loss: Callable[..., ModelTerms] = losses
        self.policy_loss = policy_loss
        self.policy_update: PolicyUpdate = policy_update or WeightedSum()
        self.policy_update.check(self.objective)
        self.optimizers = optimizers(self.parts)
        self.pretrain_policy = pretrain_policy
        self.replan_log_std_bounds = replan_log_std_bounds
        # planner and policy loss run through model and critic without gradients for them
        self.networks = Networks(self.world_model, self.critic, self.policy)
        frozen = frozen_view(self.networks)
        self._policy_parts = self.parts._replace(
            world_model=frozen.world_model, critic=frozen.critic
        )
        self._acting = view(frozen, None)
        self._replanning = self.replan_view(frozen, replan_log_std_bounds)
        self.restored = 0  # times that the optimisers got other tensors

    def tensor(self, array: np.ndarray) -> Tensor:
        """A NumPy array as the agent computes with it."""
        return transfer.to_device(array, self.device, self.dtype)

    def draw_plan_noise(self, batch: int, generator: torch.Generator | None) -> Any:
        """The planner's draws of one plan for ``batch`` states."""
        action_dim, heads = self.spec.action_dim, self.critic.heads
        return self.planner.draw_noise(batch, action_dim, heads, generator, self.dtype)

    @torch.no_grad()
    def plan(
        self,
        model: PlanningModel,
        obs: Tensor,
        noise: Any,
        warm_start: Tensor | None = None,
        greedy: bool = False,
        step: Tensor | None = None,
    ) -> PlanResult:
        """Plan with a model from observations [B, O]; see :meth:`Planner.plan`."""
        z = self.world_model.encode(obs)
        return self.planner.plan(z, model, noise, warm_start=warm_start, greedy=greedy, step=step)

    def act(
        self,
        obs: Tensor,
        noise: Any,
        *,
        warm_start: Tensor | None = None,
        greedy: bool = False,
        step: Tensor | None = None,
    ) -> PlanResult:
        """Plan from observations [B, O] with the agent's own model."""
        return self.plan(self._acting, obs, noise, warm_start, greedy, step)

    def replan(self, obs: Tensor, noise: Any) -> PlanResult:
        """Re-analysis: plan from stored observations [n, O] (docs/method.md, section 4)."""
        return self.plan(self._replanning, obs, noise, None, True)

    @torch.no_grad()
    def policy_action(self, obs: Tensor) -> Tensor:
        """The bare policy's deterministic action at observations [..., O]: [..., A]."""
        return self.policy.mode(self.world_model.encode(obs))

    def _replan_now(self, obs: Tensor) -> Gaussian:
        return self.replan(obs, self.draw_plan_noise(obs.shape[0], self._prior_draws)).dist

    @contextlib.contextmanager
    def draws_undone(self) -> Iterator[None]:
        """What a prior draws inside counts as not drawn: looking at it never shifts training."""
        state = self._prior_draws.get_state()
        try:
            yield
        finally:
            self._prior_draws.set_state(state)

    def draw_update_noise(self, batch: Batch, generator: torch.Generator) -> UpdateNoise:
        """The draws of one update on ``batch``."""
        return draw_update_noise(
            window=batch.action.shape[0],
            batch=batch.action.shape[1],
            action_dim=self.spec.action_dim,
            heads=self.critic.heads,
            hidden=self.critic.mlp_dim,
            dropout=self.critic.dropout,
            target_steps=self.critic.target_steps,
            baseline=self.objective.needs_baseline,
            generator=generator,
            dtype=self.dtype,
        )

    def update(
        self, batch: Batch, lam_weights: LamWeights, noise: UpdateNoise, pretraining: bool = False
    ) -> dict[str, Tensor]:
        """One update of everything; metrics as 0-d tensors on the device.

        Args:
            batch: windows from the replay.
            lam_weights: (w_R, w_KL), from ``objective.lam.weights(step)``.
            noise: every draw, from :meth:`draw_update_noise`.
            pretraining: see ``pretrain_policy``.
        """
        # model and critics
        model = self.model_loss(self.parts, batch, noise, lam_weights)
        norm = self.optimizers.model.step(model.loss)
        metrics = model.metrics | {"model_grad_norm": norm}
        if self.pretrain_policy or not pretraining:
            # prior
            zs = model.zs.detach()
            metrics |= self.prior.fit(zs[:-1], batch)
            # policy, with the critics just updated
            z, scales = self.objective.latents(zs), self.objective.statistics()
            prior = self.prior.dist(z, batch)
            parts = self._policy_parts
            policy = self.policy_loss(parts, scales, z, prior, batch, lam_weights, noise)
            metrics |= policy.metrics | self.policy_update.step(policy, self.optimizers.policy)
            self.objective.store(policy.statistics)
            self.prior.after_policy_step(self.policy)
            # lambda
            self.objective.lam.adapt(policy.divergence)
        # target critics
        self.critic.update_target()
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Everything that learning changes: networks, scales, lambda's state, optimisers."""
        return {
            "modules": {name: m.state_dict() for name, m in self.parts._asdict().items()},
            "optimizers": {
                "model": self.optimizers.model.state_dict(),
                "policy": self.optimizers.policy.state_dict(),
                "prior": self.prior.optimizer_state(),
            },
            "replan_generator": self._prior_draws.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`; the agent must have been built with the same parts."""
        for name, module in self.parts._asdict().items():
            module.load_state_dict(state["modules"][name])
        self.optimizers.model.load_state_dict(state["optimizers"]["model"])
        self.optimizers.policy.load_state_dict(state["optimizers"]["policy"])
        self.prior.load_optimizer_state(state["optimizers"]["prior"])
        # a state from another kind of device does not fit, and only "fresh planner" priors draw
        restore_generator(self._prior_draws, state["replan_generator"])
        self.restored += 1
