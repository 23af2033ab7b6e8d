"""The CSV files of a run: exact, tidy, and whole again after an interruption."""

import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mppi_zoo.runs import reader
from mppi_zoo.runs.metrics import MetricsLogger, Position
from mppi_zoo.runs.trackers import About

HEADER = "step,split,metric,value\n"


def log(folder: Path, **kwargs) -> MetricsLogger:
    return MetricsLogger(folder, tensorboard=False, **kwargs)


def test_rows_are_tidy_and_on_disk_before_close(tmp_path):
    logger = log(tmp_path)
    logger.write(5, "train", {"loss": torch.tensor(0.1, dtype=torch.float64), "n": 3})
    logger.timing(5, {"steps_per_second": 41.5})
    assert (tmp_path / "metrics.csv").read_text() == HEADER + "5,train,loss,0.1\n5,train,n,3.0\n"
    assert (tmp_path / "timing.csv").read_text() == "step,metric,value\n5,steps_per_second,41.5\n"
    logger.close()
    logger.close()


@given(st.floats())
def test_values_come_back_exactly(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("run")
    with log(folder) as logger:
        logger.write(0, "eval", {"x": value})
    text = reader.read_lines(folder, "metrics.csv")[1].split(",")[3]
    assert float(text) == value or (math.isnan(value) and math.isnan(float(text)))


def test_resuming_drops_what_came_after_the_checkpoint(tmp_path):
    path = tmp_path / "metrics.csv"
    with log(tmp_path) as logger:
        logger.write(1, "train", {"x": 1.0})
        position = logger.position(1)
        logger.write(2, "train", {"x": 2.0})
    kept = path.read_text()[: position.metrics]
    with path.open("a") as file:
        file.write("4,tra")
    with log(tmp_path, resume_at=position) as logger:
        logger.write(3, "train", {"x": 3.5})
    assert path.read_text() == kept + "3,train,x,3.5\n"


def test_resuming_at_the_beginning_keeps_nothing(tmp_path):
    for left in ("", "step,spl", HEADER + "9,train,x,1.0\n10,train,x,2."):
        (tmp_path / "metrics.csv").write_text(left)
        log(tmp_path, resume_at=Position(0, 0, 0)).close()
        assert (tmp_path / "metrics.csv").read_text() == HEADER


def test_an_interrupted_run_ends_with_the_bytes_of_an_uninterrupted_one(tmp_path):
    def steps(logger, first, last):
        for step in range(first, last):
            logger.write(step, "train", {"loss": 1 / (step + 1), "norm": step**0.5})

    with log(tmp_path / "whole") as logger:
        steps(logger, 0, 20)
    with log(tmp_path / "cut") as logger:
        steps(logger, 0, 10)
        position = logger.position(9)
        steps(logger, 10, 14)
    with log(tmp_path / "cut", resume_at=position) as logger:
        steps(logger, 10, 20)
    whole, cut = (tmp_path / name / "metrics.csv" for name in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes()


def test_measurements_are_never_overwritten(tmp_path):
    with log(tmp_path) as logger:
        logger.write(0, "train", {"x": 1})
    with pytest.raises(FileExistsError, match="pass resume_at"):
        log(tmp_path)
    assert "0,train,x,1.0" in (tmp_path / "metrics.csv").read_text()


@pytest.mark.parametrize("text", ["a,b\n1,2\n", HEADER + "1,train,x,1.0\n2,train,x,2.0\n", HEADER])
def test_a_file_that_is_not_the_checkpoints_is_left_alone(tmp_path, text):
    (tmp_path / "metrics.csv").write_text(text)
    length = len("a,b\n1,2") if text[0] == "a" else len(HEADER) + 10
    with pytest.raises(ValueError, match=r"was changed since|bytes, expected"):
        log(tmp_path, resume_at=Position(1, length, 0))
    assert (tmp_path / "metrics.csv").read_text() == text


def test_a_bad_value_is_named_and_writes_nothing(tmp_path):
    with log(tmp_path) as logger:
        with pytest.raises(TypeError, match="'grad'.*one number"):
            logger.write(0, "train", {"loss": 1.0, "grad": torch.zeros(2)})
        with pytest.raises(ValueError, match="'a,b'"):
            logger.write(0, "train", {"a,b": 1.0})
        with pytest.raises(ValueError, match="-1"):
            logger.write(-1, "train", {"a": 1.0})
        with pytest.raises(TypeError):
            logger.write(1.5, "train", {"a": 1.0})  # type: ignore
    assert (tmp_path / "metrics.csv").read_text() == HEADER


def test_tensorboard_gets_the_same_numbers(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with MetricsLogger(tmp_path) as logger:
        logger.write(7, "eval", {"episode_return": 2.5})
        logger.timing(7, {"steps_per_second": 10.0})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    (scalar,) = events.Scalars("eval/episode_return")
    assert (scalar.step, scalar.value) == (7, 2.5)
    assert events.Scalars("timing/steps_per_second")[0].value == 10.0


ABOUT = About("pompc_replay", "dmc:walker-walk", 3, {"KLObjective.lam": "1.0", "lr": "3e-4"}, 2)
FILM = [np.full((8, 8, 3), 60 * number, np.uint8) for number in range(4)]


def test_tensorboard_gets_configuration_settings_frames_and_films(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with MetricsLogger(tmp_path, about=ABOUT) as logger:
        logger.write(7, "eval", {"return_mean": 2.5})
        logger.video(7, tmp_path / "film.mp4", FILM, 25)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    (text,) = events.Tensors("configuration/text_summary")
    assert b"KLObjective.lam = 1.0" in text.tensor_proto.string_val[0]
    assert events.Scalars("eval_by_frame/return_mean")[0].step == 14
    (film,) = events.Images("evaluation")
    assert film.step == 7 and film.encoded_image_string.startswith(b"GIF8")
    assert {"_hparams_/experiment", "_hparams_/session_start_info"} <= set(events.summary_metadata)


def test_wandb_gets_all_that_it_can_show(tmp_path, monkeypatch):
    """The real package, which writes to a file where it is offline."""
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    film = tmp_path / "film.mp4"
    film.write_bytes(b"a film")
    settings = {"project": "zoo", "name": "run", "id": "abc123", "resume": "allow"}
    with log(tmp_path / "run", wandb=settings, about=ABOUT) as logger:
        run = wandb.run
        logger.write(7, "eval", {"return_mean": 2.5})
        logger.video(7, film, FILM, 25)
        assert run.offline and (run.project, run.name, run.id) == ("zoo", "run", "abc123")
        assert run.group == "pompc_replay dmc:walker-walk"
        assert set(run.tags) == {"pompc_replay", "dmc:walker-walk", "dmc"}
        config = dict(run.config)
        assert (config["KLObjective.lam"], config["lr"], config["seed"]) == (1.0, 3e-4, 3)
        summary = dict(run.summary)
    assert (summary["eval/return_mean"], summary["agent_step"], summary["frame"]) == (2.5, 7, 14)
    (file,) = (tmp_path / "run" / "wandb").glob("offline-run-*/run-abc123.wandb")
    for _ in range(100):  # another process writes it
        if b"walker-walk" in (content := file.read_bytes()):
            break
        time.sleep(0.2)
    for expected in (b"eval/return_mean", b"agent_step", b"frame", b"video-file", b"walker-walk"):
        assert expected in content
    (copied,) = file.parent.glob("files/media/videos/evaluation*.mp4")
    assert copied.read_bytes() == b"a film"
