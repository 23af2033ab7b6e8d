"""Environments: one constructor for every suite, one view of them for every agent.

>>> from mppi_zoo import envs
>>> env = envs.make("toy:point")
>>> envs.spec_of(env)
EnvSpec(obs_dim=2, action_dim=2, episode_length=25, episodic=False)

Simulators are imported by the first ``make`` that needs them, never by this package's import. May
import the rooms from ``core`` to ``agent``, of which it uses ``core`` and ``runs``. Start with
``registry.py``, then ``view.py``.
"""

from mppi_zoo.envs.faults import EnvironmentFault
from mppi_zoo.envs.humanoid_bench import registration as _registration
from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.envs.registry import make, make_vector
from mppi_zoo.envs.rendering import rendering_available
from mppi_zoo.envs.seeding import episode_seed
from mppi_zoo.envs.spec import spec_of
from mppi_zoo.envs.vector import EpisodeVector

_registration.register()

__all__ = [
    "EnvOptions",
    "EnvironmentFault",
    "EpisodeVector",
    "episode_seed",
    "make",
    "make_vector",
    "rendering_available",
    "spec_of",
]
