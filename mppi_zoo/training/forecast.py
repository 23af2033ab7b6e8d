"""How long a run will take, from the speed of its parts: said at the start, shown on the way."""

from __future__ import annotations

from dataclasses import dataclass

from mppi_zoo.training.options import TrainingOptions
from mppi_zoo.training.throughput import Speed

DAY = 86_400.0
DIAGNOSED_STATES = 64  # planned beside an evaluation's episodes (training/diagnostics.py)


@dataclass(frozen=True)
class Forecast:
    """Expected seconds of a run.

    Args:
        speed: of plans and updates, measured.
        environment: seconds of a step of one environment, measured.
        options: the schedule.
        num_envs: environments stepped together.
        episode_length: agent steps of an episode; taken for those of an evaluation, too.
        beside: whether all evaluations but the last run beside the training.
    """

    speed: Speed
    environment: float
    options: TrainingOptions
    num_envs: int
    episode_length: int
    beside: bool = False

    @property
    def seed_steps(self) -> int:
        """Random steps at first; with ``seed_episodes`` as if these ended early."""
        return min(self.options.shortest_seed_phase(self.episode_length), self.options.steps)

    @property
    def step(self) -> float:
        """One agent step of the training, with its updates."""
        learning = self.options.updates_per_step * self.speed.update
        return self.speed.plan / self.num_envs + learning + self.environment

    @property
    def pretraining(self) -> float:
        """As many updates as random steps."""
        return self.seed_steps * self.options.updates_per_step * self.speed.update

    @property
    def evaluation(self) -> float:
        """One evaluation: episodes with the planner and with the bare policy, and diagnostics."""
        episodes = self.options.eval_episodes
        stepping = 2 * self.episode_length * episodes * self.environment
        planning = self.episode_length + DIAGNOSED_STATES / episodes
        return stepping + planning * self.speed.evaluation

    def left(self, step: int) -> float:
        """From an agent step to the end of the run."""
        random = max(self.seed_steps - step, 0)
        planned = max(self.options.steps - max(step, self.seed_steps), 0)
        learning = self.pretraining if random else 0.0
        count = self.options.evaluations(step)
        evaluating = (min(count, 1) if self.beside else count) * self.evaluation
        return random * self.environment + learning + planned * self.step + evaluating

    def text(self, step: int = 0) -> str:
        """Lines for the user; they name the laptop scale where the run takes days."""
        seconds, count = self.left(step), self.options.evaluations(step)
        parts = [f"{self.options.steps - step:,} steps"]
        if step < self.seed_steps:
            parts.append(f"{duration(self.pretraining)} of pretraining")
        if count:
            where = (
                " (all but the last beside the training, while a core is idle)"
                if self.beside
                else ""
            )
            parts.append(f"{count} evaluations of {duration(self.evaluation)}{where}")
        line = (
            f"measured: plan {1e3 * self.speed.plan:.0f} ms, update "
            f"{1e3 * self.speed.update:.0f} ms, about {1 / self.step:.1f} agent steps/s: "
            f"{', '.join(parts)} take about {duration(seconds)}"
        )
        if seconds > DAY:
            line += (
                "\nThis is the size that the configuration asks for, meant for a GPU. On this "
                "machine try the laptop scale: add --gin scale/laptop"
            )
        return line


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds > 2 * DAY:
        return f"{seconds / DAY:.1f} days"
    if seconds > 7200:
        return f"{seconds / 3600:.1f} hours"
    if seconds > 90:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds:.0f} seconds"
