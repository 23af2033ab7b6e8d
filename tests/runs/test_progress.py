"""Progress on a terminal and in a log, with a clock that the test sets."""

import io
import sys
import time

from mppi_zoo.runs.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drive(progress: Progress, clock: Clock, steps: range, seconds_per_step: float, **fields):
    for step in steps:
        clock.now += seconds_per_step
        progress.update(step, **fields)


def test_a_log_gets_an_early_line_and_then_one_per_interval():
    clock, stream = Clock(), io.StringIO()
    progress = Progress(1000, stream=stream, clock=clock)
    drive(progress, clock, range(1, 745), 0.125, episode_return=12.5)  # 93 s
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4  # after 2, 32, 62 and 92 s
    assert lines[0].startswith("[training] 16/1,000 steps (1%) | 8.00 steps/s | return 12.5 | 0:02")
    assert lines[-1].endswith("1:32 elapsed | 0:33 left")


def test_speed_is_that_of_the_phase_and_leaves_evaluations_out():
    clock, stream = Clock(), io.StringIO()
    progress = Progress(10_000, stream=stream, clock=clock)
    progress.phase("seed phase")
    drive(progress, clock, range(1, 1001), 0.001)
    assert progress.status()["left"] == ""  # cheap steps foretell nothing
    progress.phase("training")
    drive(progress, clock, range(1001, 1101), 0.1)
    progress.phase("evaluating")
    clock.now += 10
    progress.phase("training")
    status = progress.status()
    assert status["speed"] == "10.0 steps/s"
    # The time left counts evaluations in: 100 steps in 20 s, 8,900 to go.
    assert status["left"] == "29:40 left"


def test_the_time_left_is_that_of_the_forecast_at_the_pace_that_is_seen():
    clock = Clock()
    progress = Progress(1000, stream=io.StringIO(), clock=clock)

    def left(step: int) -> float:  # 60 s of pretraining at step 500, then 0.1 s a step
        return (60 if step < 500 else 0) + 0.1 * (1000 - max(step, 500))

    progress.expect(left)
    assert progress.status()["left"] == "1:50 left"
    progress.phase("pretraining")
    clock.now += 40
    progress.update(500)
    assert progress.status()["left"] == "1:10 left"
    progress.phase("training")
    drive(progress, clock, range(501, 701), 0.2)  # twice as slow: 40 s where 20 s were expected
    # 30 s at the pace (40 + 20) / (20 + 20)
    assert progress.status()["left"] == "0:45 left"
    drive(progress, clock, range(701, 1001), 0.2)
    assert progress.status()["left"] == "0:00 left"


def test_a_log_announces_each_phase_once():
    clock, stream = Clock(), io.StringIO()
    progress = Progress(100, stream=stream, clock=clock)
    for label in ("training", "evaluating", "training", "evaluating"):
        progress.phase(label)
    labels = [line.split("]")[0] for line in stream.getvalue().splitlines()]
    assert labels == ["[training", "[evaluating"]


def test_a_continued_run_measures_only_its_own_steps():
    clock = Clock()
    progress = Progress(1000, initial=500, stream=io.StringIO(), clock=clock)
    progress.phase("training")
    drive(progress, clock, range(501, 601), 0.1)
    progress.phase("training")
    assert progress.status()["speed"] == "10.0 steps/s"
    assert progress.status()["left"] == "0:40 left"


def test_a_terminal_gets_a_bar_with_everything_on_it(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    clock, stream = Clock(), Terminal()
    with Progress(1000, stream=stream, clock=clock) as progress:
        progress.phase("training")
        drive(progress, clock, range(1, 251), 0.02, episode_return=310.0, eval_return=1405.2)
        progress.message("evaluation [1] at step 250")
    shown = stream.getvalue()
    for text in (
        "training",
        "250/1,000",
        "50.0 steps/s",
        "return 310.0",
        "eval 1,405",
        "0:15 left",
    ):
        assert text in shown
    assert "evaluation [1] at step 250" in shown  # not taken for markup


def test_the_bar_is_redrawn_five_times_a_second(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    clock, stream = Clock(), Terminal()
    progress = Progress(10_000, stream=stream, clock=clock)
    redraws, size = 0, stream.tell()
    for step in range(1, 1001):  # 1 s
        clock.now += 0.001
        progress.update(step)
        redraws += stream.tell() != size
        size = stream.tell()
    progress.close()
    assert 4 <= redraws <= 5


def test_quiet_writes_nothing():
    clock, stream = Clock(), io.StringIO()
    with Progress(10, quiet=True, stream=stream, clock=clock) as progress:
        progress.phase("training")
        drive(progress, clock, range(1, 11), 100.0)
        progress.message("hello")
    assert stream.getvalue() == ""


def test_close_shows_the_end_once():
    clock, stream = Clock(), io.StringIO()
    with Progress(10, stream=stream, clock=clock) as progress:
        progress.update(10)
        progress.close()
    assert stream.getvalue().count("10/10 steps (100%)") == 1


def test_an_update_between_two_lines_makes_few_calls():
    progress = Progress(10**9, stream=io.StringIO(), clock=time.perf_counter, interval=1e9)
    progress._due = float("inf")
    calls = 0

    def count(frame, event, argument) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    for step in range(1, 101):
        progress.update(step, episode_return=1.0)
    sys.setprofile(before)
    assert calls <= 4 * 100
