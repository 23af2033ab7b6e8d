"""Environments with every awkward space, for tests of ``module.path:Factory`` tasks."""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium import spaces


class Recorder(gymnasium.Env):
    """Keeps the actions it received; observes its own buffer, rewards 1, never ends by itself."""

    metadata = {"render_modes": ["rgb_array"]}
    max_episode_steps = 10

    def __init__(self, obs_space=None, action_space=None, render_mode=None):
        self.observation_space = obs_space or spaces.Box(-1.0, 1.0, (3,), np.float32)
        self.action_space = action_space or spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.render_mode = render_mode
        self.actions: list[np.ndarray] = []
        self.obs = self.observation_space.sample()
        self.reward = 1.0
        self.end_at = (None, None)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.obs = self.observation_space.sample()
        self.actions = []
        return self.obs, {}

    def step(self, action):
        self.actions.append(action)
        steps = len(self.actions)
        if isinstance(self.obs, np.ndarray) and self.obs.dtype == np.float32:
            self.obs += 1.0  # in place, as environments that reuse their buffer do
        terminated, truncated = steps == self.end_at[0], steps == self.end_at[1]
        return self.obs, self.reward, terminated, truncated, {}

    def render(self):
        return np.zeros((4, 4, 3), np.uint8)


class OddBounds(Recorder):
    def __init__(self):
        low = np.array([[-3.0, 0.1], [2.0, -0.3]], np.float32)
        high = np.array([[7.0, 0.7], [2.5, 0.9]], np.float32)
        super().__init__(action_space=spaces.Box(low, high, dtype=np.float32))


class DictObs(Recorder):
    def __init__(self):
        box = spaces.Box(-1.0, 1.0, (2, 2), np.float64)
        pair = spaces.Tuple((spaces.Box(-2.0, 2.0, (3,), np.float64), spaces.Discrete(4)))
        super().__init__(obs_space=spaces.Dict({"a": box, "b": pair}))


class TupleObs(Recorder):
    def __init__(self):
        parts = (spaces.Box(-1.0, 1.0, (2,), np.float64), spaces.Box(0.0, 9.0, (), np.float64))
        super().__init__(obs_space=spaces.Tuple(parts))


class Matrix(Recorder):
    def __init__(self):
        super().__init__(obs_space=spaces.Box(-1.0, 1.0, (2, 5), np.float64))


class Pixels(Recorder):
    def __init__(self):
        super().__init__(obs_space=spaces.Box(0, 255, (8, 8, 3), np.uint8))


class Unbounded(Recorder):
    def __init__(self):
        super().__init__(action_space=spaces.Box(-np.inf, np.inf, (2,), np.float32))


class NoLimit(Recorder):
    max_episode_steps = None


class Continuing(Recorder):
    episodic = False


class TerminatesAtThree(Recorder):
    def __init__(self):
        super().__init__()
        self.end_at = (3, None)


class NanObs(Recorder):
    def step(self, action):
        obs, *rest = super().step(action)
        return (obs if len(self.actions) < 2 else np.full(3, np.nan), *rest)


class InfReward(Recorder):
    def step(self, action):
        obs, _, *rest = super().step(action)
        return (obs, np.inf, *rest)


def not_an_env():
    return 3


class Sized(Recorder):
    def __init__(self, size):
        super().__init__(obs_space=spaces.Box(-1.0, 1.0, (size,), np.float32))


def raises():
    raise KeyError("no such key")


def a_vector():
    return gymnasium.make_vec("Pendulum-v1", num_envs=2)
