"""How an agent's plans and updates run: as they stand, compiled, or recorded as CUDA graphs.

The mathematics is the agent's. What runs here gives the same numbers, in the last digits at least,
except in a precision that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.views import BFloat16Hidden, Networks, SamePrecision
from mppi_zoo.compute import transfer
from mppi_zoo.compute.compilation import compiled
from mppi_zoo.compute.cuda_graphs import Recorded, Recorder
from mppi_zoo.compute.precision import Float32Matmul, TF32Matmul
from mppi_zoo.core.registration import register
from mppi_zoo.core.types import Batch, UpdateNoise
from mppi_zoo.networks.policy import LogStdBounds
from mppi_zoo.planning.base import PlanningModel, PlanResult


@register
class Execution:
    """Runs one agent's ``act``, ``replan`` and ``update``.

    Args:
        agent: whose they are.
        planning_precision: (networks) -> what the planner evaluates,
            :class:`~mppi_zoo.agent.views.SamePrecision` or
            :class:`~mppi_zoo.agent.views.BFloat16Hidden`.
        matmul_precision: what float32 products are computed in on a GPU,
            :class:`~mppi_zoo.compute.precision.Float32Matmul` (where None) or
            :class:`~mppi_zoo.compute.precision.TF32Matmul`.
    """

    def __init__(
        self,
        agent: POMPCAgent,
        planning_precision: Callable[[Networks], SamePrecision | BFloat16Hidden] = SamePrecision,
        matmul_precision: Float32Matmul | TF32Matmul | None = None,
    ):
        self.agent = agent
        self._precision = planning_precision(agent.networks)
        self._matmul = Float32Matmul() if matmul_precision is None else matmul_precision
        self._acting = self.planning_model()
        self._replanning = self.replanning_model()
        self._eager = agent.model_loss, agent.policy_loss
        self._plan = Recorded("plan", agent.plan)
        self._update = Recorded("update", agent.update)
        self._restored = agent.restored
        self.compiled = False

    # --- what runs ---------------------------------------------------------------------------

    def act(
        self,
        obs: Tensor,
        noise: Any,
        *,
        warm_start: Tensor | None = None,
        greedy: bool = False,
        step: Tensor | None = None,
    ) -> PlanResult:
        """:meth:`POMPCAgent.act`."""
        return self._planned(self._acting, obs, noise, warm_start, greedy, step)

    @torch.no_grad()
    def act_while(
        self,
        go_on: Callable[[int], bool],
        obs: Tensor,
        noise: Any,
        *,
        warm_start: Tensor | None = None,
    ) -> tuple[PlanResult | None, int]:
        """:meth:`act` without exploration noise, for as many stages of the planner as it may.

        Args:
            go_on: (stages made) -> whether to begin the next; asked after the last one too.

        Returns:
            The plan after so many stages, and their number; no plan after none. After all of them
            the plan is that of :meth:`act`.
        """
        agent, made, count = self.agent, None, 0
        with self._matmul():
            self._precision.refresh()
            z = agent.world_model.encode(obs)
            stages = agent.planner.stages(
                z, self._acting, noise, warm_start=warm_start, greedy=True
            )
            while go_on(count):
                stage = next(stages, None)
                if stage is None:
                    break
                made, count = stage, count + 1
                transfer.wait_for(agent.device)
            return (None if made is None else made()), count

    def replan(self, obs: Tensor, noise: Any) -> PlanResult:
        """:meth:`POMPCAgent.replan`."""
        return self._planned(self._replanning, obs, noise, None, True)

    @torch.no_grad()
    def _planned(self, model: PlanningModel, *args: Any) -> PlanResult:
        self._check_graphs()
        with self._matmul():
            self._precision.refresh()
            return self._plan(model, *args)

    def update(
        self, batch: Batch, step: int, noise: UpdateNoise, *, pretraining: bool = False
    ) -> dict[str, Tensor]:
        """:meth:`POMPCAgent.update` with lambda's weights at an agent step."""
        self._check_graphs()
        # lambda's weights stay outside of what is recorded: they may come from numbers of Python's
        weights = self.agent.objective.lam.weights(step, pretraining)
        with self._matmul():
            return self._update(batch, weights, noise, pretraining)

    def planning_model(self, proposal_bounds: LogStdBounds | None = None) -> PlanningModel:
        """The agent as its planner sees it here; ``proposal_bounds`` replaces the proposals'."""
        return self.agent.view(self._precision.networks, proposal_bounds)

    def replanning_model(self) -> PlanningModel:
        """The same in re-analysis."""
        bounds = self.agent.replan_log_std_bounds
        return self.agent.replan_view(self._precision.networks, bounds)

    def refreshed_networks(self) -> Networks:
        """The networks of :meth:`planning_model`, up to date with the last update."""
        self._precision.refresh()
        return self._precision.networks

    # --- how it runs -------------------------------------------------------------------------

    def compile(self) -> None:
        """Compile the losses and the planner's scoring with ``torch.compile``.

        The first calls take about a minute; values change in the last digits only.
        """
        device, (model_loss, policy_loss) = self.agent.device, self._eager
        self.agent.model_loss = compiled(model_loss.__call__, device)
        self.agent.policy_loss = compiled(policy_loss, device)
        self.agent.planner.compile(device)
        self.compiled = True
        self.forget_graphs()

    def uncompile(self) -> None:
        """Back to eager execution."""
        self.agent.model_loss, self.agent.policy_loss = self._eager
        self.agent.planner.uncompile()
        self.compiled = False
        self.forget_graphs()

    def record(self, recorder: Recorder, report: Callable[[str], object] = print) -> None:
        """Run whole plans and updates as graphs from now on.

        Args:
            recorder: usually a :class:`~mppi_zoo.compute.cuda_graphs.CudaRecorder`.
            report: told in a line what cannot be recorded; it runs as before.
        """
        self._plan.begin(recorder, report)
        prior = self.agent.prior
        if prior.recordable:
            self._update.begin(recorder, report)
        else:
            report(f"no CUDA graph of the update: {type(prior).__name__} is not recordable")

    @property
    def records(self) -> bool:
        """Whether plans run as graphs."""
        return self._plan.recorder is not None

    def graphs(self) -> tuple[int, int]:
        """Graphs recorded: of plans, of updates."""
        return self._plan.count, self._update.count

    def forget_graphs(self) -> None:
        """Drop all graphs: the tensors or functions that they hold were replaced."""
        self._plan.forget()
        self._update.forget()

    def _check_graphs(self) -> None:
        if self.agent.restored != self._restored:
            self._restored = self.agent.restored
            self.forget_graphs()
