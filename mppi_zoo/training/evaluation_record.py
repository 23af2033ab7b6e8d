"""What becomes of an evaluation: metrics, the latest and the best agent, a video, a message."""

from __future__ import annotations

from pathlib import Path

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.checkpoint import save_agent
from mppi_zoo.runs import reader
from mppi_zoo.runs.alarms import Measured, alarms
from mppi_zoo.runs.metrics import METRICS_COLUMNS, MetricsLogger
from mppi_zoo.runs.progress import Progress
from mppi_zoo.runs.video import FPS, save_video
from mppi_zoo.training.evaluation import Episodes


class EvaluationRecord:
    """Writes the outcome of evaluations to a run's folder, and tells the user.

    Args:
        folder: of the run.
        logger: of ``metrics.csv``.
        progress: where messages go.
    """

    def __init__(self, folder: Path, logger: MetricsLogger, progress: Progress):
        self.folder, self.logger, self.progress = folder, logger, progress

    def episodes(self, step: int, planner: Episodes, policy: Episodes) -> None:
        """Write the metrics of both kinds of episodes at an agent step."""
        self.logger.write(step, "eval", planner.metrics())
        self.logger.write(step, "eval_policy", policy.metrics())

    def agent(self, agent: POMPCAgent, step: int, *, best: bool) -> None:
        """Save the agent as the latest, and as the best where it is that."""
        save_agent(self.folder / "checkpoints" / "last.pt", agent, step)
        if best:
            save_agent(self.folder / "checkpoints" / "best.pt", agent, step)

    def show(self, step: int, planner: Episodes, policy: Episodes) -> None:
        """Save the film of the planner's first episode, if there is one; show the mean returns."""
        if planner.frames:
            path = self.folder / "videos" / f"evaluation_{step}.mp4"
            self.progress.message(save_video(path, planner.frames))
            if path.is_file():
                self._film(step, path, planner)
        if planner.no_film:
            self.progress.message(planner.no_film)
        rate = planner.success_rate
        shown = {} if rate is None else {"eval_success": rate}
        self.progress.update(step, eval_return=planner.mean_return, **shown)
        self.progress.message(
            f"step {step}: evaluation return {planner.mean_return:.1f} with the planner, "
            f"{policy.mean_return:.1f} with the bare policy "
            f"({planner.returns.size} episodes each){_rates(planner, policy)}"
        )

    def _film(self, step: int, path: Path, planner: Episodes) -> None:
        """Show the film in TensorBoard and W&B too."""
        try:
            self.logger.video(step, path, planner.frames, FPS)
        except Exception as error:  # encoders fail in many ways; none may stop the run
            self.progress.message(f"no video in TensorBoard or W&B: {error}")

    def alarm(self, step: int) -> None:
        """Say what of the run's metrics tells that it no longer learns, at this agent step."""
        try:
            table = reader.read_rows(self.folder, "metrics.csv", METRICS_COLUMNS)
            rows = [Measured(int(at), split, name, float(x)) for at, split, name, x in table]
        except (OSError, ValueError) as error:  # a file that cannot be read costs no training
            self.progress.message(f"no alarms at step {step}: {error}")
            return
        for found in alarms(rows):
            if found.step == step:
                self.progress.message(f"warning: step {step}: {found.text}")


def _rates(planner: Episodes, policy: Episodes) -> str:
    """The success rates as text; empty where the environment does not say."""
    of_planner, of_policy = planner.success_rate, policy.success_rate
    if of_planner is None or of_policy is None:
        return ""
    return f"; success rate {of_planner:.0%} with the planner, {of_policy:.0%} with the policy"
