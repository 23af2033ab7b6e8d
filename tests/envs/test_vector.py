"""EpisodeVector, and the Gymnasium vectors below it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mppi_zoo import envs
from mppi_zoo.envs.options import EnvOptions

MODULE = "support.custom_envs"
BOTH = pytest.mark.parametrize("asynchronous", [False, True])


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def play(vector, steps=4):
    rng = np.random.default_rng(0)
    rows = [vector.reset()]
    for _ in range(steps):
        obs, reward, *_ = vector.step(rng.uniform(-1, 1, (vector.num_envs, 2)))
        rows += [obs, reward[:, None]]
    return np.concatenate(rows, axis=1)


@BOTH
def test_reproducible_and_equal_to_single_envs(asynchronous):
    with envs.EpisodeVector("toy:point", 2, 5, "train", asynchronous=asynchronous) as vector:
        assert vector.spec == envs.spec_of(envs.make("toy:point"))
        first = vector.reset()
        assert first.shape == (2, 2) and first.dtype == np.float32
        for i in range(2):
            seed = envs.episode_seed(5, "train", i, 0)
            np.testing.assert_array_equal(first[i], envs.make("toy:point").reset(seed=seed)[0])
        second = play(vector)
        vector.episode = np.array([1, 1])
        np.testing.assert_array_equal(play(vector), second)
        np.testing.assert_array_equal(vector.episode, [2, 2])
    with envs.EpisodeVector("toy:point", 2, 5, "eval", asynchronous=asynchronous) as other:
        assert not np.array_equal(other.reset(), first)


@BOTH
def test_partial_reset_leaves_others_untouched(asynchronous):
    with (
        envs.EpisodeVector("toy:point", 3, 0, "x", asynchronous=asynchronous) as vector,
        envs.EpisodeVector("toy:point", 3, 0, "x") as control,
    ):
        vector.reset()
        control.reset()
        actions = np.full((3, 2), 0.3)
        before = vector.step(actions)[0]
        control.step(actions)
        kept = before.copy()
        mask = np.array([False, True, False])
        after = vector.reset(mask)
        np.testing.assert_array_equal(mask, [False, True, False])
        np.testing.assert_array_equal(after[[0, 2]], kept[[0, 2]])
        assert not np.array_equal(after[1], kept[1])
        seed = envs.episode_seed(0, "x", 1, 1)
        np.testing.assert_array_equal(after[1], envs.make("toy:point").reset(seed=seed)[0])
        np.testing.assert_array_equal(vector.episode, [1, 2, 1])
        # The others go on as if nothing had happened, their state included.
        reference = control.step(actions)[0]
        np.testing.assert_array_equal(vector.step(actions)[0][[0, 2]], reference[[0, 2]])
        # No array returned earlier has changed.
        np.testing.assert_array_equal(before, kept)
        np.testing.assert_array_equal(after[[0, 2]], kept[[0, 2]])


@BOTH
def test_empty_mask_resets_nothing(asynchronous):
    with envs.EpisodeVector("toy:point", 2, 0, "x", asynchronous=asynchronous) as vector:
        obs = vector.reset()
        np.testing.assert_array_equal(vector.reset(np.zeros(2, bool)), obs)
        np.testing.assert_array_equal(vector.episode, [1, 1])


@BOTH
def test_terminated_apart_from_truncated(asynchronous):
    task = "toy:point-terminating"
    with envs.EpisodeVector(task, 2, 0, "x", asynchronous=asynchronous) as vector:
        obs = vector.reset()
        ends = np.zeros((2, 2), int)
        for step in range(1, 26):
            # One walks out of the square, the other stays by the optimal policy.
            obs, reward, terminated, truncated = vector.step(np.stack([np.ones(2), -obs[1]]))
            assert reward.dtype == np.float32
            assert terminated.dtype == truncated.dtype == np.bool_
            ends[0] += terminated
            ends[1] += truncated
            if terminated[0]:
                assert np.abs(obs[0]).max() > 1.0  # the last observation, not a new episode's
            if (terminated | truncated).any() and step < 25:
                obs = vector.reset(terminated | truncated)
        assert ends[0, 0] > 1 and ends[0, 1] == 0
        assert ends[1, 1] == 1


@BOTH
def test_stepping_a_finished_env_is_an_error(asynchronous):
    options = EnvOptions(max_episode_steps=2)
    with envs.EpisodeVector("toy:point", 2, 0, "x", options, asynchronous) as vector:
        with pytest.raises(RuntimeError, match=r"environments \[0, 1\] are not within"):
            vector.step(np.zeros((2, 2)))
        with pytest.raises(RuntimeError, match=r"\[1\].*never been reset"):
            vector.reset(np.array([True, False]))
        vector.reset()
        vector.step(np.zeros((2, 2)))
        assert vector.step(np.zeros((2, 2)))[3].all()
        vector.reset(np.array([True, False]))
        with pytest.raises(RuntimeError, match=r"environments \[1\] are not within"):
            vector.step(np.zeros((2, 2)))


@BOTH
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NanObs", ["observation [nan, nan, nan]", "environment 0", "step 2 of episode 0"]),
        ("InfReward", ["reward inf", "environment 0", "step 1 of episode 0"]),
    ],
)
def test_non_finite_values_are_reported(asynchronous, name, words):
    task = f"{MODULE}:{name}"
    with envs.EpisodeVector(task, 2, 3, "x", asynchronous=asynchronous) as vector:
        vector.reset()
        with pytest.raises(envs.EnvironmentFault) as caught:
            for _ in range(3):
                vector.step(np.full((2, 2), 0.25))
    for word in (*words, f"seed {envs.episode_seed(3, 'x', 0, 0)}", "[0.25, 0.25]"):
        assert word in str(caught.value)


@BOTH
def test_bad_actions(asynchronous):
    with envs.EpisodeVector("toy:point", 2, 0, "x", asynchronous=asynchronous) as vector:
        vector.reset()
        with pytest.raises(ValueError, match="environment 1.*NaN"):
            vector.step(np.array([[0.0, 0.0], [0.0, np.nan]]))
        with pytest.raises(ValueError, match=r"\(2,\).*\(2, 2\)"):
            vector.step(np.zeros(2))
        vector.step(np.zeros((2, 2)))  # neither call reached the environments


def test_bad_arguments():
    with pytest.raises(ValueError, match="max_episode_steps"):
        envs.EpisodeVector(f"{MODULE}:NoLimit", 1, 0, "x")
    with pytest.raises(ValueError, match="num_envs is 0"):
        envs.EpisodeVector("toy:point", 0, 0, "x")
    with pytest.raises(ValueError, match="asynchronous=False"):
        envs.EpisodeVector("toy:point", 1, 0, "x", asynchronous=True, render=True)
    with envs.EpisodeVector("toy:point", 2, 0, "x") as vector:
        with pytest.raises(ValueError, match="bool"):
            vector.reset(np.array([0, 1]))
        for counts in ([1], [0, -1], [0.5, 1.0]):
            with pytest.raises(ValueError, match="2 integers >= 0"):
                vector.episode = np.array(counts)
        with pytest.raises(RuntimeError, match="render=True"):
            vector.render(0)


def test_render():
    with envs.EpisodeVector("toy:point", 2, 0, "x", render=True) as vector:
        vector.reset()
        assert vector.render(1).shape == (64, 64, 3)
        assert not np.array_equal(vector.render(0), vector.render(1))


@BOTH
def test_dmc_in_a_vector(asynchronous):
    with envs.EpisodeVector("dmc:pendulum-swingup", 2, 0, "x", asynchronous=asynchronous) as v:
        first = v.reset()
        stepped = v.step(np.zeros((2, 1)))[0]
        v.episode = np.zeros(2, int)
        np.testing.assert_array_equal(v.reset(), first)
        np.testing.assert_array_equal(v.step(np.zeros((2, 1)))[0], stepped)


@BOTH
def test_make_vector_returns_copies(asynchronous):
    vector: Any = envs.make_vector("toy:point", 2, asynchronous=asynchronous)
    first, _ = vector.reset(seed=[1, 2])
    kept = first.copy()
    second = vector.step(np.ones((2, 2), np.float32))[0]
    np.testing.assert_array_equal(first, kept)
    assert not np.shares_memory(first, second) and not np.array_equal(first, second)
    vector.close()
