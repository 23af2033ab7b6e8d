"""Every fault of docs/faults.md: what a run says, what it leaves, how it goes on."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from support import faulty_env
from support.file_systems import without_locks
from support.run_folders import contents, flip
from support.short_runs import (
    OFTEN,
    SMALL,
    TOY,
    Crash,
    ToyRuns,
    at_call,
    command,
    crash,
    cut,
    resume,
    without_measuring,
    without_waiting,
)
from system.soak.compare import differences

from mppi_zoo import envs
from mppi_zoo.cli import main as run
from mppi_zoo.runs import manifest
from mppi_zoo.runs.checkpoint_store import CheckpointStore
from mppi_zoo.runs.lock import LOCK_FILE, OWNER_FILE, locked
from mppi_zoo.runs.outcome import DONE, FAULT, REFUSED, STOPPED
from mppi_zoo.training.evaluation import Evaluator

MEMBER, TASK = "pompc_adaptive_fkl", TOY


@pytest.fixture(autouse=True)
def no_fault_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    without_waiting(monkeypatch)
    without_measuring(monkeypatch)
    faulty_env.set_fault("")


@pytest.fixture
def whole(toy_run: ToyRuns) -> Path:
    """The run that nothing disturbs."""
    return toy_run(MEMBER)


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What :func:`cut` leaves; only copies of it are touched."""
    out = tmp_path_factory.mktemp("crashed") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        without_waiting(monkeypatch)
        without_measuring(monkeypatch)
        cut(monkeypatch, command(out, MEMBER, TASK, *SMALL))
    return out


@pytest.fixture
def cut_run(crashed: Path, tmp_path: Path) -> Path:
    """A run of one's own that crashed in training and has several checkpoints."""
    return Path(shutil.copytree(crashed, tmp_path / "run"))


def newest(out: Path) -> int:
    opened = CheckpointStore(out / "state").open_newest()
    assert opened is not None
    return opened.manifest["step"]


# --- the environment -----------------------------------------------------------------------------


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("raises", "ZeroDivisionError: a bug of mine"),
        ("nan observation", "returned the observation [nan, nan]"),
        ("infinite observation", "returned the observation [inf, inf]"),
        ("nan reward", "returned the reward nan"),
        ("infinite reward", "returned the reward -inf"),
        ("changes shape", "the observation has 5 values, expected 2"),
    ],
)
def test_a_faulty_environment_is_named(kind: str, message: str, asynchronous: bool) -> None:
    faulty_env.set_fault(kind, after=0)
    task = "support.faulty_env:Faulty"
    with envs.EpisodeVector(task, 2, 3, "x", asynchronous=asynchronous) as vector:
        vector.reset()
        with pytest.raises(envs.EnvironmentFault) as caught:
            vector.step(np.zeros((2, 2)))
    seeds = [envs.episode_seed(3, "x", i, 0) for i in range(2)]
    assert message in str(caught.value) and "step 1 " in str(caught.value)
    assert any(f"environment {i}" in str(caught.value) for i in range(2))
    assert any(f"seed {seed}" in str(caught.value) for seed in seeds)


def test_a_run_goes_on_after_the_environment_is_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run.main(command(tmp_path / "whole", MEMBER, "support.faulty_env:Faulty", *SMALL)) == DONE
    )
    out = tmp_path / "run"
    faulty_env.set_fault("raises", after=100)  # probes and evaluation take steps too
    assert run.main(command(out, MEMBER, "support.faulty_env:Faulty", *SMALL)) == FAULT
    said = capsys.readouterr().err
    assert "a bug of mine" in said and f"--resume {out}" in said
    faulty_env.set_fault("")
    assert resume(out, "--import", "support.faulty_env") == DONE
    assert differences(tmp_path / "whole", out) == []


def test_an_environment_that_cannot_be_restored_says_so_and_starts_a_new_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command(tmp_path / "run", MEMBER, "support.faulty_env:Unseeded", *SMALL)
    arguments.remove("--quiet")
    with monkeypatch.context() as patch:
        at_call(patch, "advance", 12, crash)
        with pytest.raises(Crash):
            run.main(arguments)
    assert "cannot be restored within an episode" in capsys.readouterr().out
    assert run.main(["--resume", str(tmp_path / "run"), "--no-video", "--trust"]) == DONE
    said = capsys.readouterr().out
    assert "environments [0] did not come back to where they were" in said


def test_a_robot_is_not_moved_to_restore_an_episode() -> None:
    with envs.EpisodeVector("support.faulty_env:Robot", 1, 3, "x") as vector:
        faulty_env.Robot.resets = 0
        assert vector.not_restorable() == "it declares restorable = False"
        assert faulty_env.Robot.resets == 0
        vector.reset()
        for _ in range(3):
            vector.step(np.ones((1, 2)))
        state = vector.state_dict()
    with envs.EpisodeVector("support.faulty_env:Robot", 1, 3, "x") as vector:
        faulty_env.Robot.resets = 0
        assert vector.load_state_dict(state).tolist() == [True]
        assert vector.episode.tolist() == [2] and faulty_env.Robot.resets == 1
        vector.step(np.ones((1, 2)))


# --- numbers -------------------------------------------------------------------------------------


def test_divergence_stops_the_run_and_keeps_the_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"

    def spoil(trainer) -> None:
        next(trainer.agent.world_model.parameters()).data.fill_(float("nan"))

    at_call(monkeypatch, "advance", 12, spoil)
    assert run.main(command(out, MEMBER, TASK, *SMALL)) == FAULT
    said = capsys.readouterr().err
    assert "at agent step 4" in said and "world_model.encoder" in said
    before = newest(out)
    assert before <= 44
    for module in CheckpointStore(out / "state").open_newest().content["agent"]["modules"].values():  # type: ignore[union-attr]
        assert all(torch.isfinite(tensor).all() for tensor in module.values())
    monkeypatch.undo()
    assert resume(out) == DONE


def test_a_bad_update_is_reported_with_its_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    wild = ("--param", "Optimizers.lr=1e30")
    assert run.main(command(out, MEMBER, TASK, *SMALL, *wild)) == FAULT
    said = capsys.readouterr().err
    (kept,) = (out / "faults").iterdir()
    assert str(kept) in said and "model_loss = nan" in said and "|reward| up to" in said
    content = torch.load(kept, weights_only=True)
    assert content["batch"]["obs"].shape == (3, 16, 2) and content["step"] == 32
    assert not np.isfinite(content["metrics"]["model_loss"])


# --- the disk ------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_written_leaves_the_checkpoint_before(
    tmp_path: Path,
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, before = tmp_path / "run", resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(trainer) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # writes beyond it fail

    at_call(monkeypatch, "advance", 9, limit)
    try:
        assert run.main(command(out, MEMBER, TASK, *SMALL)) == FAULT
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large" in capsys.readouterr().err
    assert not list((out / "state").glob("*.tmp"))
    monkeypatch.undo()
    assert resume(out) == DONE
    assert differences(whole, out) == []


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 2 MB."""
    point = tmp_path / "disk"
    point.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(point)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs to be root")
    yield point
    subprocess.run(["umount", "-l", str(point)], check=True)


def test_a_full_disk(small_disk: Path, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, ballast = small_disk / "run", small_disk / "ballast"
    ballast.write_bytes(bytes(500_000))
    assert run.main(command(out, MEMBER, TASK, *SMALL)) == FAULT
    assert "No space left on device" in capsys.readouterr().err
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    assert resume(out) == DONE
    assert differences(whole, out) == []


def test_a_read_only_folder(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert run.main(command(small_disk / "run", MEMBER, TASK, *SMALL)) == REFUSED
    assert "Read-only file system" in capsys.readouterr().err


def test_two_processes_on_one_run(cut_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = cut_run
    before = sorted((out / "state").iterdir())
    with locked(out):
        assert resume(out) == REFUSED
    assert f"in use by process {os.getpid()} on" in capsys.readouterr().err
    assert sorted((out / "state").iterdir()) == before
    assert resume(out) == DONE


def test_a_file_system_that_cannot_sync_folders(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            asked.append(descriptor)
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr("os.fsync", fsync)
    out = tmp_path / "run"
    assert run.main(command(out, MEMBER, TASK, *SMALL)) == DONE and asked
    assert differences(whole, out) == []


@pytest.mark.parametrize("answer", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(
    answer: int,
    tmp_path: Path,
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without_locks(monkeypatch, answer)
    out = tmp_path / "run"
    cut(monkeypatch, command(out, MEMBER, TASK, *SMALL))
    # as a process that was killed on another machine leaves it, were the file itself the lock
    (out / LOCK_FILE).write_text("1\nelsewhere\n")
    (out / OWNER_FILE).write_text("process 1 on elsewhere\n")
    assert run.main(["--resume", str(out)]) == DONE
    assert "has no locks: start no second process" in "".join(capsys.readouterr())
    assert differences(whole, out) == []


# --- what a crash leaves -------------------------------------------------------------------------


def test_a_truncated_line_is_dropped(cut_run: Path, whole: Path) -> None:
    out = cut_run
    for name in ("metrics.csv", "timing.csv"):
        with (out / name).open("a") as file:
            file.write("44,train,mod")
    assert resume(out) == DONE
    assert differences(whole, out) == []


DAMAGES = {
    "a flipped bit": (flip, "does not match its checksum"),
    "a truncated file": (lambda path: os.truncate(path, path.stat().st_size // 2), "bytes"),
    "a missing file": (Path.unlink, "is missing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused_and_the_one_before_used(
    cut_run: Path, whole: Path, damage: str
) -> None:
    out = cut_run
    spoil, reason = DAMAGES[damage]
    last = max((out / "state").glob("*.json"))
    spoil(last.with_suffix(".pt"))
    store = CheckpointStore(out / "state")
    opened = store.open_newest()
    assert opened is not None and opened.path < last
    assert len(store.refused) == 1 and str(last) in store.refused[0] and reason in store.refused[0]
    assert resume(out) == DONE
    assert last.with_name(last.name + ".refused").is_file()
    assert differences(whole, out) == []


def test_a_checkpoint_whose_metrics_were_lost_is_refused(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    cut(monkeypatch, command(out, MEMBER, TASK, *SMALL), calls=20)
    manifests = sorted((out / "state").glob("*.json"))
    stored = [manifest.read(path) for path in manifests]
    lengths = [entries["position"]["metrics"] for entries in stored]
    assert lengths[0] < lengths[-1], "the test needs checkpoints before and after a record"
    os.truncate(out / "metrics.csv", lengths[-1] - 1)
    assert resume(out) == DONE
    assert (out / "state" / f"{manifests[-1].name}.refused").exists()
    assert differences(whole, out) == []


# --- signals, clocks, configurations -------------------------------------------------------------


# every signal, and SIGTERM at every phase: what the handler notes is read between all units alike
@pytest.mark.parametrize(
    ("name", "method", "calls"),
    [
        ("SIGTERM", "explore", 7),
        ("SIGTERM", "pretrain", 9),
        ("SIGTERM", "learn", 41),
        ("SIGINT", "explore", 7),
        ("SIGUSR1", "pretrain", 9),
        ("SIGUSR2", "learn", 41),
    ],
)
def test_a_signal_writes_a_checkpoint_and_leaves(
    tmp_path: Path,
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    method: str,
    calls: int,
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        at_call(patch, method, calls, lambda trainer: signal.raise_signal(signal.Signals[name]))
        assert run.main(command(out, MEMBER, TASK, *SMALL)) == STOPPED
    said = capsys.readouterr().err
    assert f"stopped by {name} at step" in said and f"--resume {out}" in said
    assert resume(out) == DONE
    assert differences(whole, out) == []


def test_a_signal_within_an_evaluation_abandons_it(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    original, left = Evaluator.policy, [1]

    def policy(self, agent, step):
        if left[0]:
            left[0] -= 1
            signal.raise_signal(signal.SIGTERM)
        return original(self, agent, step)

    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "policy", policy)
        assert run.main(command(out, MEMBER, TASK, *SMALL)) == STOPPED
    assert newest(out) == 32 and "eval" not in (out / "metrics.csv").read_text()
    assert resume(out) == DONE
    assert differences(whole, out) == []


def test_clock_jumps_change_nothing(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, jumps = time.time, iter(range(10**9))
    monkeypatch.setattr("time.time", lambda: real() - 1e6 * (next(jumps) % 3))
    out = tmp_path / "run"
    assert run.main(command(out, MEMBER, TASK, *SMALL)) == DONE
    monkeypatch.undo()
    assert differences(whole, out) == []


def test_a_changed_configuration_is_shown_and_refused(
    cut_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = cut_run
    before = contents(out)
    assert resume(out, "--param", "KLObjective.lam=0.5") == REFUSED
    said = capsys.readouterr().err
    assert "-KLObjective.lam = 1.0" in said and "+KLObjective.lam = 0.5" in said
    assert resume(out, "--seed", "2") == REFUSED
    assert "--seed 2: the run in" in capsys.readouterr().err
    assert resume(out, "--compile") == REFUSED
    assert "--compile: False -> True" in capsys.readouterr().err
    assert contents(out) == before
    assert resume(out, "--param", "KLObjective.lam=0.5", "--force") == DONE
    assert "KLObjective.lam = 0.5" in (out / "config.gin").read_text()


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["--resume", str(tmp_path / "absent")], "no folder"),
        (["--continue"], "--continue needs --out"),
        ([], "--gin FILE is missing"),
    ):
        assert run.main(arguments) == REFUSED
        assert message in capsys.readouterr().err


def test_a_checkpoint_is_written_when_it_is_due(tmp_path: Path) -> None:
    arguments = command(tmp_path / "run", MEMBER, TASK, *SMALL[: -len(OFTEN)])
    assert run.main([*arguments, "--param", "TrainingOptions.checkpoint_minutes=0"]) == DONE
    assert [path.name for path in (tmp_path / "run/state").glob("*.json")] == ["000001.json"]


def test_a_renderer_that_fails_costs_the_video_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def render(self, index):
        raise OSError("no display")

    monkeypatch.setattr(envs.EpisodeVector, "render", render)
    monkeypatch.setattr("mppi_zoo.cli.setup.rendering_available", lambda: (True, ""))
    out = tmp_path / "run"
    arguments = command(out, MEMBER, TASK, *SMALL)
    for flag in ("--quiet", "--no-video"):
        arguments.remove(flag)
    assert run.main(arguments) == DONE
    assert "no evaluation video: rendering failed (OSError: no display)" in capsys.readouterr().out
    assert not (out / "videos").exists()
