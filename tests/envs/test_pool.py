"""EnvPool's tasks; skipped where EnvPool is not installed."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from mppi_zoo import envs
from mppi_zoo.envs.options import EnvOptions

pytest.importorskip("envpool", reason="EnvPool is not installed")
from mppi_zoo.envs import pool  # noqa: E402


def vector(task: str, n: int = 3, seed: int = 1, **options: Any) -> envs.EpisodeVector:
    return envs.EpisodeVector(task, n, seed, "test", EnvOptions(**options))


def test_final_observations_are_those_of_gymnasium() -> None:
    """Pendulum-v1: each step of the pool is the step that Gymnasium makes from the same state."""
    with vector("ep:Pendulum-v1", max_episode_steps=7) as ours:
        original: Any = gymnasium.make("Pendulum-v1").unwrapped
        draws, obs = np.random.default_rng(0), ours.reset()
        original.reset(seed=0)
        for step in range(1, 30):
            actions = draws.uniform(-1, 1, (3, 1)).astype(np.float32)
            after, reward, terminated, truncated = ours.step(actions)
            for i in range(3):
                original.state = np.array([np.arctan2(obs[i, 1], obs[i, 0]), obs[i, 2]])
                expected, earned, *_ = original.step(2.0 * actions[i])
                np.testing.assert_allclose(after[i], expected, atol=2e-5)
                np.testing.assert_allclose(reward[i], earned, atol=2e-5)
            # all end together here, and none begins before it is asked to
            assert truncated.tolist() == [step % 7 == 0] * 3 and not terminated.any()
            obs = ours.reset(truncated) if truncated.any() else after


def test_those_that_end_wait_and_the_others_go_on() -> None:
    with vector("ep:Hopper-v5", 4) as ours, vector("ep:Hopper-v5", 4) as control:
        obs = ours.reset()
        np.testing.assert_array_equal(control.reset(), obs)
        draws, ends = np.random.default_rng(0), 0
        running = np.ones(4, dtype=bool)  # whether the control is still in its first episode
        for _ in range(200):
            actions = draws.uniform(-1, 1, (4, 3)).astype(np.float32)
            after, _, terminated, truncated = ours.step(actions)
            done = terminated | truncated
            assert not truncated.any()
            # a fallen hopper's last observation is of the fall: below 0.7 or leaning over 0.2
            assert ((after[done, 0] < 0.7) | (np.abs(after[done, 1]) > 0.2)).all()
            kept = ours.reset(done)
            np.testing.assert_array_equal(kept[~done], after[~done])
            assert (np.abs(kept[done, 0] - 1.25) < 0.01).all()  # a new episode begins upright
            ends += int(done.sum())
            running &= ~done
            if running.any():
                same, *_ = control.step(actions)
                np.testing.assert_array_equal(same[running], after[running])
                control.reset(~running) if (~running).any() else None
        assert ends > 10


def test_action_repeat_sums_rewards_and_stops_at_the_end() -> None:
    with (
        vector("ep:WalkerWalk-v1", 2) as two,
        vector("ep:WalkerWalk-v1", 2, action_repeat=1) as one,
    ):
        assert (two.spec.episode_length, one.spec.episode_length) == (500, 1000)
        np.testing.assert_array_equal(two.reset(), one.reset())
        actions = np.full((2, 6), 0.3, dtype=np.float32)
        obs, reward, *_ = two.step(actions)
        singles = [one.step(actions) for _ in range(2)]
        np.testing.assert_array_equal(obs, singles[1][0])
        np.testing.assert_allclose(reward, singles[0][1] + singles[1][1], rtol=1e-6)
    with vector("ep:Pendulum-v1", 2, action_repeat=3, max_episode_steps=4) as short:
        assert short.spec.episode_length == 2
        short.reset()
        assert not short.step(np.zeros((2, 1)))[3].any()
        assert short.step(np.zeros((2, 1)))[3].all()  # its fourth step, after one of three


def test_a_whole_reset_depends_on_the_seeds_alone() -> None:
    with vector("ep:Pendulum-v1") as ours, vector("ep:Pendulum-v1", seed=2) as other:
        first = ours.reset()
        assert len(np.unique(first[:, 2])) == 3 and not np.array_equal(first, other.reset())
        ours.step(np.zeros((3, 1)))
        ours.reset(np.array([True, False, False]))
        ours.episode = np.zeros(3, dtype=np.int64)
        np.testing.assert_array_equal(ours.reset(), first)


def test_an_unfinished_episode_is_not_restored_but_begun_anew() -> None:
    with vector("ep:Pendulum-v1") as ours:
        assert "EnvPool steps all" in ours.not_restorable() and ours.step_seconds() > 0
        ours.reset()
        ours.step(np.zeros((3, 1)))
        state = ours.state_dict()
        assert ours.load_state_dict(state).all()
        assert ours.step(np.zeros((3, 1)))[0].shape == (3, 3)


def test_dictionaries_success_and_single_environments() -> None:
    with vector("ep:FetchReach-v4", 2) as goals:
        goals.reset()
        goals.step(np.zeros((2, 4)))
        assert goals.success.tolist() == [0.0, 0.0]
        names = [entry.key for entry in goals.spec.obs.entries]
        assert names == ["observation", "achieved_goal", "desired_goal"]
    env = envs.make("ep:FetchReach-v4")
    obs, _ = env.reset(seed=3)
    np.testing.assert_array_equal(obs, env.reset(seed=3)[0])
    assert env.step(np.zeros(4))[4] == {"success": 0.0}
    assert envs.spec_of(env).obs_dim == 16
    env.close()


@pytest.mark.parametrize(
    ("task", "episodic"),
    [
        ("Hopper-v5", True),
        ("HalfCheetah-v5", False),
        ("WalkerWalk-v1", False),
        ("MetaWorld/Reach-v3", False),
        ("MyoSuite/myoHandPose1Fixed-v0", True),
    ],
)
def test_which_tasks_can_end(task: str, episodic: bool) -> None:
    assert pool.Pool(task, 1, EnvOptions()).facts.episodic is episodic


def test_arguments_reach_the_task() -> None:
    hidden = envs.make("ep:MetaWorld/Reach-v3")
    shown = envs.make(
        "ep:MetaWorld/Reach-v3", EnvOptions(arguments={"partially_observable": False})
    )
    assert (hidden.reset(seed=1)[0][-3:] == 0).all() and (shown.reset(seed=1)[0][-3:] != 0).any()


@pytest.mark.parametrize(
    ("task", "arguments", "message"),
    [
        ("ep:Hoper-v5", None, r"unknown EnvPool id 'Hoper-v5'; nearest .*Hopper-v5"),
        ("ep:Hopper-v5", {"frame_skp": 2}, r"unknown argument .*'frame_skp'; nearest .*frame_skip"),
        ("ep:Hopper-v5", {"frame_skip": "a"}, r"EnvPool refuses .*types of .*'frame_skip': 4"),
        ("ep:Hopper-v5", {"seed": 2}, r"--env-arg seed: this package sets it; use --seed"),
        ("ep:CartPole-v1", None, r"not continuous"),
        ("ep:Pong-v5", None, r"is images"),
    ],
)
def test_refusals(task: str, arguments: dict[str, Any] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        envs.make(task, EnvOptions(arguments=arguments))


def test_no_processes_no_film() -> None:
    with pytest.raises(ValueError, match="leave out --async-envs"):
        envs.EpisodeVector("ep:Pendulum-v1", 2, 1, "test", asynchronous=True)
    with vector("ep:Pendulum-v1") as ours:
        ours.reset()
        with pytest.raises(RuntimeError, match="EnvPool is not filmed"):
            ours.render(0)
