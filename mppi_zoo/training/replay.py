"""Replay: one preallocated ring of transitions, windows of it, rewritable planner distributions.

Each environment writes into a lane of its own. A row holds an observation and the step taken from
it; the last observation of an episode gets a row without a step, after those that ``past_the_end``
adds. Windows of H+1 rows never leave an episode, nor cross the write head.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mppi_zoo.compute import transfer
from mppi_zoo.core.types import Batch, EnvSpec, Gaussian
from mppi_zoo.runs.row_log import RowLog, Segment
from mppi_zoo.training.episode_returns import EpisodeReturns
from mppi_zoo.training.past_the_end import NothingPastTheEnd, PastTheEnd
from mppi_zoo.training.sampling import Sampling, UniformSampling
from mppi_zoo.training.window_starts import WindowStarts

PLAN_COLUMNS = ("plan_mean", "plan_std", "planned")


def replay_bytes(spec: EnvSpec, capacity: int) -> int:
    """Memory of a replay of ``capacity`` rows, in bytes (float32)."""
    floats = spec.obs_dim + 3 * spec.action_dim + 2
    return capacity * (4 * floats + 1 + 8)


class Replay:
    """See the module's docstring.

    Args:
        spec: the environment's sizes.
        capacity: rows over all lanes.
        horizon: H; windows have H steps and H+1 observations.
        num_envs: lanes.
        device: where the rows live.
        batch_device: where sampled batches go; None: the same.
        sampling: which windows are drawn; None: all are equally likely.
        episode_returns: whether batches carry the returns of their windows' episodes.
        past_the_end: what follows a step that ended its episode for good; None: nothing.

    Attributes:
        logs: what checkpoints write of the rows; plans apart, as re-analysis rewrites them.

    Raises:
        ValueError: if a lane could not hold one window.
    """

    def __init__(
        self,
        spec: EnvSpec,
        capacity: int,
        horizon: int,
        num_envs: int = 1,
        device: torch.device | str = "cpu",
        batch_device: torch.device | str | None = None,
        sampling: Sampling | None = None,
        episode_returns: bool = False,
        past_the_end: PastTheEnd | None = None,
    ):
        self.lane_rows = capacity // num_envs
        if self.lane_rows < horizon + 2:
            raise ValueError(
                f"replay capacity {capacity} over {num_envs} environments leaves "
                f"{self.lane_rows} rows each; a window of horizon {horizon} needs {horizon + 2}"
            )
        self.spec, self.horizon, self.num_envs = spec, horizon, num_envs
        self.sampling: Sampling = sampling or UniformSampling()
        self.past_the_end: PastTheEnd = past_the_end or NothingPastTheEnd()
        self.device = transfer.same_device(device)
        self.batch_device = transfer.same_device(batch_device or self.device)
        rows, action_dim = self.lane_rows * num_envs, spec.action_dim

        def column(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(rows, *shape, dtype=dtype, device=self.device)

        self.columns: dict[str, Tensor] = {
            "obs": column(spec.obs_dim),
            "action": column(action_dim),
            "reward": column(),
            "terminated": column(),
            "plan_mean": column(action_dim),
            "plan_std": column(action_dim),
            "planned": column(dtype=torch.bool),
        }
        self.starts = [WindowStarts(self.lane_rows) for _ in range(num_envs)]
        self.cursor = np.zeros(num_envs, dtype=np.int64)  # next row to write, within the lane
        self.run_length = np.zeros(num_envs, dtype=np.int64)  # rows of the episode under way
        self.written = np.zeros(num_envs, dtype=np.int64)  # rows ever written
        self.steps = 0
        self.returns = EpisodeReturns(num_envs) if episode_returns else None
        plans = {name: self.columns[name] for name in PLAN_COLUMNS}
        rest = {name: c for name, c in self.columns.items() if name not in PLAN_COLUMNS}
        self.logs = {"transitions": RowLog(rest), "plans": RowLog(plans)}

    def __len__(self) -> int:
        """Windows that can be sampled."""
        return sum(starts.count for starts in self.starts)

    @property
    def nbytes(self) -> int:
        """Memory of the rows, in bytes."""
        return sum(column.nbytes for column in self.columns.values())

    def _advance(self, lanes: np.ndarray) -> Tensor:
        """Claim the next row of each lane named; returns global row numbers."""
        rows = lanes * self.lane_rows + self.cursor[lanes]
        for lane in lanes:
            row = int(self.cursor[lane])
            self.starts[lane].drop(row)
            self.run_length[lane] += 1
            if self.run_length[lane] > self.horizon:
                self.starts[lane].push((row - self.horizon) % self.lane_rows)
            self.cursor[lane] = (row + 1) % self.lane_rows
        self.written[lanes] += 1
        index = transfer.to_device(rows, self.device)
        for log in self.logs.values():
            log.mark(index)
        return index

    def add(
        self,
        obs: Tensor,
        action: Tensor,
        reward: Tensor,
        terminated: Tensor,
        done: np.ndarray,
        next_obs: Tensor,
        plan: Gaussian | None = None,
        lanes: np.ndarray | None = None,
    ) -> None:
        """Store one step of every environment.

        Args:
            obs: [N, O] before the step; action [N, A]; reward, terminated [N].
            done: [N] bool, whether the episode ended, for whatever reason.
            next_obs: [N, O] after the step; stored where the episode ended.
            plan: the planner's distribution of ``obs`` [N, A], None for a random step.
            lanes: [N] bool, who took a step, one at least; None: all. Elsewhere rewards are 0.
        """
        rows = self._advance(np.arange(self.num_envs) if lanes is None else np.flatnonzero(lanes))
        written = {"obs": obs, "action": action, "reward": reward, "terminated": terminated}
        written |= {} if plan is None else {"plan_mean": plan.mean, "plan_std": plan.std}
        written = transfer.in_one_piece(transfer.rows(written, lanes), self.device)
        for name, value in written.items():
            self.columns[name][rows] = value
        self.columns["planned"][rows] = plan is not None
        if plan is None:
            self._clear_plan(rows)
        self.steps += len(rows)
        if self.returns:
            self.returns.add(reward)
        ended = np.flatnonzero(done)
        if ended.size:
            for _ in range(self.past_the_end.steps(self.horizon)):
                self._step_past_the_end(terminated, next_obs)
            self._repeat_last(ended, next_obs)  # no step starts at the last row
            self.end_episodes(done)

    def _step_past_the_end(self, terminated: Tensor, next_obs: Tensor) -> None:
        lanes = np.flatnonzero(terminated.cpu().numpy())
        if lanes.size:
            rows = self._repeat_last(lanes, next_obs)
            actions = self.past_the_end.actions(self.written[lanes], self.spec.action_dim)
            self.columns["action"][rows] = transfer.to_device(actions, self.device)
            self.columns["terminated"][rows] = 1

    def _repeat_last(self, lanes: np.ndarray, next_obs: Tensor) -> Tensor:
        """Claim a row in each lane named for its last observation; returns global row numbers."""
        rows = self._advance(lanes)
        self.columns["obs"][rows] = self._row(next_obs[transfer.to_device(lanes, next_obs.device)])
        # whatever the overwritten row held must not be read as a step
        for name in ("action", "reward", "terminated", "planned"):
            self.columns[name][rows] = 0
        self._clear_plan(rows)
        return rows

    def _row(self, value: Tensor) -> Tensor:
        return transfer.to_device(value, self.device, torch.float32)

    def _clear_plan(self, rows: Tensor) -> None:
        self.columns["plan_mean"][rows], self.columns["plan_std"][rows] = 0.0, 1.0

    def sample(self, batch: int, generator: np.random.Generator) -> Batch:
        """Windows that ``sampling`` draws, with replacement, of all that the ring holds.

        Raises:
            ValueError: if there is none yet.
        """
        counts = np.array([starts.count for starts in self.starts])
        if not counts.any():
            raise ValueError(
                f"the replay holds no window of {self.horizon + 1} observations: no episode so far "
                "is that long. Does the environment end its episodes at once? Else collect more "
                "steps before the first update"
            )
        lanes, positions = self.sampling.draw(counts, batch, generator)
        start = np.empty(batch, dtype=np.int64)
        for lane in np.flatnonzero(counts):
            chosen = lanes == lane
            start[chosen] = self.starts[lane].take(positions[chosen])
        within = (start + np.arange(self.horizon + 1)[:, None]) % self.lane_rows
        index = transfer.to_device(within + lanes * self.lane_rows, self.device)
        found = self.gather(index)
        if not self.returns:
            return found
        age = (self.cursor[lanes] - 1 - start) % self.lane_rows
        earned = self.returns.at(age, lanes, self.written, self.lane_rows)
        return found._replace(episode_return=transfer.to_device(earned, self.batch_device))

    def gather(self, index: Tensor) -> Batch:
        """The windows at rows index [T+1, B]."""
        steps = index[:-1]

        def at(name: str, rows: Tensor) -> Tensor:
            values = self.columns[name].index_select(0, rows.flatten())
            return transfer.to_device(values.unflatten(0, rows.shape), self.batch_device)

        return Batch(
            obs=at("obs", index),
            action=at("action", steps),
            reward=at("reward", steps),
            terminated=at("terminated", steps),
            plan=Gaussian(at("plan_mean", index), at("plan_std", index)),
            planned=at("planned", index),
            index=steps,
        )

    def write_plan(self, index: Tensor, plan: Gaussian) -> None:
        """Replace the planner distributions at rows index [...] by plan [..., A]."""
        rows = index.flatten()
        self.columns["plan_mean"][rows] = self._row(plan.mean.flatten(0, -2))
        self.columns["plan_std"][rows] = self._row(plan.std.flatten(0, -2))
        self.columns["planned"][rows] = True
        self.logs["plans"].mark(rows)

    def end_episodes(self, lanes: np.ndarray) -> None:
        """The next steps of the lanes [N] bool belong to other episodes than those before."""
        self.run_length[lanes] = 0
        if self.returns:
            self.returns.begin(lanes, self.written)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the rows, which ``logs`` write."""
        return {
            "lane_rows": self.lane_rows,
            "starts": [torch.from_numpy(s.take(np.arange(s.count))) for s in self.starts],
            "cursor": torch.from_numpy(self.cursor.copy()),
            "run_length": torch.from_numpy(self.run_length.copy()),
            "written": torch.from_numpy(self.written.copy()),
            "steps": self.steps,
            **({"returns": self.returns.state_dict()} if self.returns else {}),
        }

    def load_state_dict(
        self, state: dict[str, Any], segments: Mapping[str, Iterable[Segment]]
    ) -> None:
        """Restore :meth:`state_dict` and the rows.

        The replay may hold more rows than the stored one, if that was not yet full.

        Args:
            segments: of each of ``logs``, oldest first.

        Raises:
            ValueError: if the sizes do not fit.
        """
        before, written = int(state["lane_rows"]), state["written"].numpy()
        if len(written) != self.num_envs:
            raise ValueError(
                f"the stored replay has {len(written)} lanes, expected {self.num_envs}, one for "
                "each environment"
            )
        if before != self.lane_rows and (written.max() > before or before > self.lane_rows):
            raise ValueError(
                f"the stored replay has {before} rows a lane, of which it wrote {written.max()}; "
                f"expected {self.lane_rows}: a full replay cannot change its size, and none can "
                "shrink"
            )
        for name, log in self.logs.items():
            for rows, values in segments[name]:
                moved = rows // before * self.lane_rows + rows % before
                log.replay(Segment(moved, values))
            if before != self.lane_rows:
                log.restart()
        for starts, rows in zip(self.starts, state["starts"], strict=True):
            starts.first, starts.count = 0, rows.numel()
            starts.rows[: starts.count] = rows.numpy()
        self.cursor = written.copy() if before != self.lane_rows else state["cursor"].numpy().copy()
        self.run_length = state["run_length"].numpy().copy()
        self.written = written.copy()
        self.steps = int(state["steps"])
        if self.returns:
            self.returns.load_state_dict(state["returns"])
