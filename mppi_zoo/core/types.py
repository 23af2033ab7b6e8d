"""The contracts of the zoo: every record that crosses a module's border, one shape per field.

Axis glossary of every docstring of the package (time first, scalars carry no trailing 1):

=====  ==================================================================================
axis   meaning
=====  ==================================================================================
T      training window, in agent steps; equal to the planner's horizon H
H      planning horizon
B      batch: sub-sequences in an update, states in a plan
N      candidate action sequences scored by the planner
P      those of the N that the policy proposed
K      elites kept by the planner
J      planner iterations
E      critic heads
C      classes (bins) of a two-hot regression
O      observation, flattened
A      action, always in [-1, 1]
Z      latent state
M      width of a hidden layer
=====  ==================================================================================

Source of the notation: docs/method.md, section 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor


@dataclass(frozen=True)
class ObsEntry:
    """One entry of an observation: a value of a dictionary, or the whole of a plain vector.

    Attributes:
        key: its name; for an entry of a nested space the path to it, such as "arm/0".
        shape: before flattening.
        dtype: before flattening.
        choices: of an entry that is coded one-hot, how many values each of its numbers may have;
            empty for plain numbers. ``shape`` is that of the code then.
        first: the smallest value of each of these numbers.
    """

    key: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    choices: tuple[int, ...] = ()
    first: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """The count of its numbers."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ObsSpec:
    """The observations that an agent gets, and what they are made of.

    Attributes:
        shape: of one observation as the agent gets it, (O,) where the environment is flattened.
        dtype: of the same.
        entries: in the order in which they lie in the flat vector; a plain vector has one.

    Raises:
        ValueError: the entries' sizes do not add up to the shape's, or two have the same key.
    """

    shape: tuple[int, ...]
    dtype: str
    entries: tuple[ObsEntry, ...]

    def __post_init__(self) -> None:
        size, parts = math.prod(self.shape), [entry.size for entry in self.entries]
        if sum(parts) != size:
            raise ValueError(
                f"an observation of shape {self.shape} has {size} numbers, but its entries have "
                f"{parts}, {sum(parts)} in all; expected the entries to fill the observation"
            )
        keys = [entry.key for entry in self.entries]
        if len(set(keys)) != len(keys):
            raise ValueError(f"the entries of an observation are {keys}; expected different keys")

    @classmethod
    def vector(cls, size: int) -> ObsSpec:
        """A plain vector [size] of float32."""
        return cls((size,), "float32", (ObsEntry("obs", (size,)),))

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ObsSpec:
        """From what ``dataclasses.asdict`` gave, with lists where JSON has no tuples."""
        entries = tuple(
            ObsEntry(
                entry["key"],
                tuple(entry["shape"]),
                entry.get("dtype", "float32"),
                tuple(entry.get("choices", ())),
                tuple(entry.get("first", ())),
            )
            for entry in record["entries"]
        )
        return cls(tuple(record["shape"]), record["dtype"], entries)

    @property
    def size(self) -> int:
        """O, the count of an observation's numbers."""
        return math.prod(self.shape)

    def split(self, obs: Tensor) -> dict[str, Tensor]:
        """Flat observations [..., O] -> their entries by key, each [..., *shape of the entry]."""
        parts = obs.split([entry.size for entry in self.entries], -1)
        return {
            entry.key: part.reshape(*obs.shape[:-1], *entry.shape)
            for entry, part in zip(self.entries, parts, strict=True)
        }


@dataclass(frozen=True)
class EnvSpec:
    """What an agent must know of its environment.

    Attributes:
        obs_dim: O, length of the flattened observation.
        action_dim: A, length of the action.
        episode_length: steps until truncation, in agent steps (T of the discount heuristic).
        episodic: whether episodes can terminate (as opposed to being truncated).
        obs: the observation's shape, dtype and entries; left out, it is a plain vector [O]. May be
            given as a mapping, as a run folder's ``run.json`` keeps it.

    Raises:
        ValueError: ``obs`` has another size than ``obs_dim``.
    """

    obs_dim: int
    action_dim: int
    episode_length: int
    episodic: bool = False
    # None until __post_init__ has filled it in.
    obs: ObsSpec = field(default=None, repr=False)  # pyright: ignore[reportAssignmentType]

    def __post_init__(self) -> None:
        obs: Any = self.obs
        if obs is None:
            obs = ObsSpec.vector(self.obs_dim)
        elif isinstance(obs, Mapping):
            obs = ObsSpec.from_json(obs)
        if obs.size != self.obs_dim:
            raise ValueError(
                f"obs has shape {obs.shape} and thus {obs.size} numbers; expected obs_dim = "
                f"{self.obs_dim} of them"
            )
        object.__setattr__(self, "obs", obs)


class NetworkSizes(NamedTuple):
    """What critics and policies must know to be built."""

    latent_dim: int  # Z
    action_dim: int  # A
    mlp_dim: int  # M


class Gaussian(NamedTuple):
    """A diagonal Gaussian over actions; both fields [..., A]."""

    mean: Tensor
    std: Tensor


class Step(NamedTuple):
    """One model step. ``discount`` is gamma * alive, alive in [0, 1], a hard cut by default
    (docs/method.md, section 4)."""

    z: Tensor  # [..., Z]
    reward: Tensor  # [...]
    discount: Tensor  # [...]


class Batch(NamedTuple):
    """Windows sampled from the replay. ``plan`` reads N(0, 1) where ``planned`` is False."""

    obs: Tensor  # [T+1, B, O]
    action: Tensor  # [T, B, A]
    reward: Tensor  # [T, B]
    terminated: Tensor  # [T, B] float, 1 where the step ended the episode for good
    plan: Gaussian  # [T+1, B, A] planner distribution of obs[t]
    planned: Tensor  # [T+1, B] bool, whether a planner distribution is stored
    index: Tensor  # [T, B] int64, rows of the replay, for write-back
    episode_return: Tensor | None = None  # [B] of the window's episode; None unless asked for

    def plans(self, ahead: int = 0) -> tuple[Gaussian, Tensor]:
        """The planner's distributions of obs[t + ahead] for t = 0 .. T-1, and whether stored.

        Args:
            ahead: 0 or 1.

        Returns:
            Gaussian [T, B, A], bool [T, B].
        """
        rows = slice(ahead, ahead + self.action.shape[0])
        return Gaussian(self.plan.mean[rows], self.plan.std[rows]), self.planned[rows]


class UpdateNoise(NamedTuple):
    """Every random draw of one update (docs/method.md, sections 2 to 5).

    ``value_keep`` and ``policy_keep`` are multiplicative dropout masks of the critics' first
    hidden layer (0 or 1/(1 - rate)); None means no dropout.
    """

    target_policy: (
        Tensor  # [n, T, B, A] policy noise of the critic target (n model steps, 1 if model-free)
    )
    target_heads: Tensor  # [2] int64
    policy: Tensor  # [T+1, B, A] policy noise of the policy loss; only the latents used are read
    policy_heads: Tensor  # [2] int64
    baseline_heads: Tensor  # [2] int64, for weights that need Q of the stored action
    value_keep: Tensor | None  # [E, T, B, M]
    policy_keep: Tensor | None  # [2, T+1, B, M]
    baseline_keep: Tensor | None  # [2, T, B, M]


class PolicySample(NamedTuple):
    """A reparameterised draw from a policy head, with all that the objectives read
    (docs/method.md, section 3)."""

    action: Tensor  # [..., A] in [-1, 1]
    mean: Tensor  # [..., A] deterministic action, tanh m
    std: Tensor  # [..., A] sigma
    raw_mean: Tensor  # [..., A] network output m
    raw_log_std: Tensor  # [..., A] network output s, before the bounds
    noise: Tensor  # [..., A] the epsilon that was used
    log_prob_base: Tensor  # [...] l_u = log N(u; m, sigma)
    squash: Tensor  # [...] sum_i ln(max(1 - a_i^2, 0) + 1e-6); 0 for a clipped Gaussian
