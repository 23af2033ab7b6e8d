"""Seeds of episodes: a pure function of run, purpose, environment and episode number."""

from __future__ import annotations

import zlib

import numpy as np

SEED_LIMIT = 2**31 - 1


def episode_seed(run_seed: int, purpose: str, env_index: int, episode: int) -> int:
    """Seed of one episode, in [0, 2**31 - 1).

    Each episode has its own seed. So a resumed run has the same episodes without replaying earlier
    ones, and evaluation does not change training.

    Args:
        run_seed: seed of the whole run, >= 0.
        purpose: what the episodes are for, such as "train" or "eval"; each has seeds of its own.
        env_index: row of the environment in its vector, >= 0.
        episode: how many episodes that environment began before this one, >= 0.

    Raises:
        ValueError: a number is negative.
    """
    for name, value in (("run_seed", run_seed), ("env_index", env_index), ("episode", episode)):
        if value < 0:
            raise ValueError(f"{name} is {value}; expected an integer >= 0")
    # crc32, since hash() of a string differs from process to process.
    words = [int(run_seed), zlib.crc32(purpose.encode()), int(env_index), int(episode)]
    return int(np.random.SeedSequence(words).generate_state(1)[0]) % SEED_LIMIT
