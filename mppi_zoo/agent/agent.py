"""POMPCAgent: one KL-regularised agent; each published method is a choice of its parts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import gin
import numpy as np
import torch
from torch import Tensor

from mppi_zoo.agent.losses import LossWeights, model_loss, policy_loss
from mppi_zoo.agent.parts import build_parts, model_groups
from mppi_zoo.agent.views import (
    BFloat16Hidden,
    Networks,
    SamePrecision,
    frozen_view,
    planning_model,
)
from mppi_zoo.compute import transfer
from mppi_zoo.compute.cuda_graphs import Recorded, Recorder
from mppi_zoo.compute.precision import Float32Products, TF32Products
from mppi_zoo.core.noise import draw_update_noise
from mppi_zoo.core.optim import ClippedAdam
from mppi_zoo.core.rng import generator_for, restore_generator
from mppi_zoo.core.types import (
    Batch,
    EnvSpec,
    Gaussian,
    PlanningModel,
    PlanNoise,
    PlanResult,
    UpdateNoise,
)
from mppi_zoo.networks.critic import QCritic, VCritic
from mppi_zoo.networks.policy import LogStdBounds, Policy
from mppi_zoo.networks.world_model import WorldModel
from mppi_zoo.objective.kl_objective import KLObjective
from mppi_zoo.objective.prior import Prior
from mppi_zoo.planning.mppi import MPPIPlanner

LamWeights = tuple[Tensor, Tensor]  # (w_R, w_KL), 0-d


@gin.register
class POMPCAgent:
    """World model, critic, policy, prior and planner under one objective.

    Parts that need sizes come as classes (or factories), the others as instances.

    Args:
        spec: the environment's sizes.
        world_model: (spec) -> :class:`WorldModel`.
        policy: (spec, latent_dim, mlp_dim=) -> :class:`Policy`.
        critic: (spec, latent_dim, mlp_dim=) -> :class:`QCritic` or :class:`VCritic`.
        prior: (parts) -> :class:`Prior`.
        objective: the policy's objective.
        planner: acting, proposals from the policy.
        optimizer: (groups, lr=, eps=) -> :class:`ClippedAdam`.
        lr: learning rate of all networks but the encoder.
        encoder_lr_scale: the encoder's is this share of ``lr``.
        policy_eps: Adam's epsilon for the policy.
        consistency_weight, reward_weight, value_weight, termination_weight: of the model loss.
        pretrain_policy: whether pretraining updates touch the policy and the prior too
            (TD-MPC2) or the model only (BMPC, PO-MPC).
        replan_log_std_bounds: log-std bounds of the policy's proposals in re-analysis; None
            keeps the policy's own.
        planning_precision: (networks) -> what the planner evaluates, :class:`SamePrecision` or
            :class:`BFloat16Hidden`.
        products: what float32 products are computed in on a GPU, :class:`Float32Products` (where
            None) or :class:`TF32Products`.
    """

    def __init__(
        self,
        spec: EnvSpec,
        world_model: Callable[..., WorldModel],
        policy: Callable[..., Policy],
        critic: Callable[..., QCritic | VCritic],
        prior: Callable[..., Prior],
        objective: KLObjective,
        planner: MPPIPlanner,
        optimizer: Callable[..., ClippedAdam] = ClippedAdam,
        lr: float = 3e-4,
        encoder_lr_scale: float = 0.3,
        policy_eps: float = 1e-5,
        consistency_weight: float = 20.0,
        reward_weight: float = 0.1,
        value_weight: float = 0.1,
        termination_weight: float = 1.0,
        pretrain_policy: bool = True,
        replan_log_std_bounds: LogStdBounds | None = (-2.0, 1.0),
        planning_precision: Callable[[Networks], SamePrecision | BFloat16Hidden] = SamePrecision,
        products: Float32Products | TF32Products | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        self.spec, self.planner = spec, planner
        self.device, self.dtype = transfer.same_device(device), dtype
        seed = torch.initial_seed() % 2**63  # the run's, set by whoever builds the agent
        self._replan_generator = generator_for(seed, "fresh planner", self.device)
        classes = (world_model, policy, critic, prior)
        self.parts = build_parts(
            spec, *classes, objective, self._replan_now, self.device, self.dtype
        )
        self.world_model, self.critic, self.policy, self.prior, self.objective = self.parts
        groups = model_groups(self.world_model, self.critic, lr * encoder_lr_scale)
        self.model_optimizer = optimizer(groups, lr=lr)
        self.policy_optimizer = optimizer(self.policy.parameters(), lr=lr, eps=policy_eps)
        self.loss_weights = LossWeights(
            consistency_weight, reward_weight, value_weight, termination_weight
        )
        self.pretrain_policy = pretrain_policy
        self.replan_log_std_bounds = replan_log_std_bounds
        # the two halves of an update, replaced by compiled ones in `compile`
        self._model_loss, self._policy_loss = model_loss, policy_loss
        networks = Networks(self.world_model, self.critic, self.policy)
        # the policy's loss runs through model and critic, but asks nothing of their weights
        frozen = frozen_view(networks)
        self._policy_parts = self.parts._replace(
            world_model=frozen.world_model, critic=frozen.critic
        )
        self._planning = planning_precision(networks)
        self._products = Float32Products() if products is None else products
        self.compiled = False
        self._acting_model = self.planning_model()
        self._replanning_model = self.planning_model(replan_log_std_bounds)
        self._run_plan = Recorded("plan", self._plan)
        self._run_update = Recorded("update", self._update)

    def compile(self) -> None:
        """Compile the losses and the planner's scoring with ``torch.compile``.

        The first calls take about a minute; values change in the last digits only.
        """
        self._model_loss = torch.compile(model_loss, dynamic=False)
        self._policy_loss = torch.compile(policy_loss, dynamic=False)
        self.planner.compile()
        self.compiled = True
        self._forget_graphs()

    def uncompile(self) -> None:
        """Back to eager execution."""
        self._model_loss, self._policy_loss = model_loss, policy_loss
        self.planner.uncompile()
        self.compiled = False
        self._forget_graphs()

    def record(self, recorder: Recorder, report: Callable[[str], object] = print) -> None:
        """Run whole plans and updates as graphs from now on (:mod:`mppi_zoo.compute.cuda_graphs`).

        Args:
            recorder: usually a :class:`~mppi_zoo.compute.cuda_graphs.CudaRecorder`.
            report: told in a line what cannot be recorded; it runs as before.
        """
        self._run_plan.begin(recorder, report)
        if self.prior.recordable:
            self._run_update.begin(recorder, report)
        else:
            report(f"no CUDA graph of the update: {type(self.prior).__name__} is not recordable")

    @property
    def records(self) -> bool:
        """Whether plans run as graphs."""
        return self._run_plan.recorder is not None

    def _forget_graphs(self) -> None:
        """What they ran or wrote to was replaced."""
        self._run_plan.forget()
        self._run_update.forget()

    # --- acting ------------------------------------------------------------------------------

    def planning_model(self, proposal_bounds: LogStdBounds | None = None) -> PlanningModel:
        """The agent as a planner sees it; ``proposal_bounds`` replaces the proposals' log-std."""
        return planning_model(self._planning.networks, proposal_bounds)

    def refreshed_networks(self) -> Networks:
        """The networks of :meth:`planning_model`, up to date with the last update."""
        self._planning.refresh()
        return self._planning.networks

    def tensor(self, array: np.ndarray) -> Tensor:
        """A NumPy array as the agent computes with it."""
        return transfer.to_device(array, self.device, self.dtype)

    def draw_plan_noise(self, batch: int, generator: torch.Generator | None) -> PlanNoise:
        """The draws of one plan for ``batch`` states."""
        return self.planner.draw_noise(
            batch, self.spec.action_dim, self.critic.heads, generator, self.dtype
        )

    @torch.no_grad()
    def act(
        self,
        obs: Tensor,
        noise: PlanNoise,
        *,
        warm_start: Tensor | None = None,
        greedy: bool = False,
    ) -> PlanResult:
        """Plan from observations [B, O]; see :meth:`MPPIPlanner.plan`."""
        return self._run_plan(self._acting_model, obs, noise, warm_start, greedy)

    @torch.no_grad()
    def policy_action(self, obs: Tensor) -> Tensor:
        """The bare policy's deterministic action at observations [..., O]: [..., A]."""
        return self.policy.mode(self.world_model.encode(obs))

    @torch.no_grad()
    def replan(self, obs: Tensor, noise: PlanNoise) -> PlanResult:
        """Re-analysis: plan from stored observations [n, O] with the zero mean (spec section 4)."""
        return self._run_plan(self._replanning_model, obs, noise, None, True)

    def _plan(
        self,
        model: PlanningModel,
        obs: Tensor,
        noise: PlanNoise,
        warm_start: Tensor | None,
        greedy: bool,
    ) -> PlanResult:
        with self._products():
            z = self.world_model.encode(obs)
            self._planning.refresh()
            return self.planner.plan(z, model, noise, warm_start=warm_start, greedy=greedy)

    def _replan_now(self, obs: Tensor) -> Gaussian:
        return self.replan(obs, self.draw_plan_noise(obs.shape[0], self._replan_generator)).dist

    @contextlib.contextmanager
    def draws_undone(self) -> Iterator[None]:
        """What a prior draws inside counts as not drawn: looking at it never shifts training."""
        state = self._replan_generator.get_state()
        try:
            yield
        finally:
            self._replan_generator.set_state(state)

    # --- learning ----------------------------------------------------------------------------

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
        self, batch: Batch, step: int, noise: UpdateNoise, *, pretraining: bool = False
    ) -> dict[str, Tensor]:
        """One update of everything; figures as 0-d tensors on the device.

        Args:
            batch: windows from the replay.
            step: agent step, for schedules of lambda.
            noise: every draw, from :meth:`draw_update_noise`.
            pretraining: see ``pretrain_policy``.
        """
        # lambda stays outside of what may be recorded: it may know the step and other numbers
        lam_weights = self.objective.lam.weights(step)
        figures = self._run_update(batch, lam_weights, noise, pretraining)
        if "divergence" in figures:
            self.objective.lam.observe(figures["divergence"])
        return figures

    def _update(
        self, batch: Batch, lam_weights: LamWeights, noise: UpdateNoise, pretraining: bool
    ) -> dict[str, Tensor]:
        with self._products():
            zs, figures = self.update_model(batch, noise)
            if self.pretrain_policy or not pretraining:
                figures |= self.prior.fit(zs[:-1], batch)
                figures |= self._policy_step(zs, batch, lam_weights, noise)
            self.critic.update_target()
        return figures

    def update_model(self, batch: Batch, noise: UpdateNoise) -> tuple[Tensor, dict[str, Tensor]]:
        """Model and critic step; returns the detached roll-out z_0 .. z_T [T+1, B, Z]."""
        loss, zs, figures = self._model_loss(self.parts, self.loss_weights, batch, noise)
        norm = self.model_optimizer.step(loss)
        return zs.detach(), figures | {"model_grad_norm": norm}

    def update_policy(
        self, zs: Tensor, batch: Batch, step: int, noise: UpdateNoise
    ) -> dict[str, Tensor]:
        """Policy step on detached latents zs [T+1, B, Z], with the critics just updated."""
        figures = self._policy_step(zs, batch, self.objective.lam.weights(step), noise)
        self.objective.lam.observe(figures["divergence"])
        return figures

    def _policy_step(
        self, zs: Tensor, batch: Batch, lam_weights: LamWeights, noise: UpdateNoise
    ) -> dict[str, Tensor]:
        loss, figures = self._policy_loss(self._policy_parts, zs, batch, lam_weights, noise)
        norm = self.policy_optimizer.step(loss)
        self.prior.after_policy_step(self.policy)
        return figures | {"policy_grad_norm": norm}

    # --- state -------------------------------------------------------------------------------

    def parameter_count(self) -> int:
        """Learned parameters, target networks left out."""
        counted = (p for m in self.parts for p in m.parameters() if p.requires_grad)
        return sum(p.numel() for p in counted)

    def state_dict(self) -> dict[str, Any]:
        """Everything that learning changes: networks, scales, lambda's state, optimisers."""
        return {
            "modules": {name: m.state_dict() for name, m in self.parts._asdict().items()},
            "optimizers": {
                "model": self.model_optimizer.state_dict(),
                "policy": self.policy_optimizer.state_dict(),
                "prior": self.prior.optimizer_state(),
            },
            "replan_generator": self._replan_generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`; the agent must have been built with the same parts."""
        for name, module in self.parts._asdict().items():
            module.load_state_dict(state["modules"][name])
        self.model_optimizer.load_state_dict(state["optimizers"]["model"])
        self.policy_optimizer.load_state_dict(state["optimizers"]["policy"])
        self.prior.load_optimizer_state(state["optimizers"]["prior"])
        # a state from another kind of device does not fit, and only "fresh planner" priors draw
        restore_generator(self._replan_generator, state["replan_generator"])
        self._forget_graphs()  # the optimisers hold other tensors now
