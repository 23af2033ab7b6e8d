"""What is done where no action can be chosen: raise, hold the last action, or go to zero.

Zero is the environment's own 0, or what is nearest within its bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn, Protocol

import numpy as np
import torch
from torch import Tensor

from mppi_zoo.deploy.observations import ABSURD


class Fallback(Protocol):
    """The action instead of one that cannot be chosen."""

    def __call__(self, error: Exception, last: np.ndarray, zero: np.ndarray) -> np.ndarray:
        """The action [A], or an error.

        Args:
            error: why none can be chosen.
            last: [A] the action before, in [-1, 1]; zero at first.
            zero: [A] in [-1, 1].
        """
        ...

    def within_program(self, usable: Tensor, action: Tensor, last: Tensor, zero: Tensor) -> Tensor:
        """The same in an exported program, for many states: actions [B, A].

        Args:
            usable: [B] bool, whether the state's ``action`` may be used.
            action, last: [B, A] finite, in the environment's units; zero: [A].
        """
        ...


class RaiseError:
    """No action: the error is the caller's."""

    def __call__(self, error: Exception, last: np.ndarray, zero: np.ndarray) -> NoReturn:
        """See :class:`Fallback`."""
        raise error

    def within_program(self, usable: Tensor, action: Tensor, last: Tensor, zero: Tensor) -> Tensor:
        """See :class:`Fallback`. On CUDA the check ends the process's use of the device."""
        torch.ops.aten._assert_async.msg(
            usable.all(),
            f"the observation or the last plan holds NaN, infinity or a number beyond {ABSURD:g}: "
            "no action is chosen from it",
        )
        return action


class HoldLast:
    """The action before, once more."""

    def __call__(self, error: Exception, last: np.ndarray, zero: np.ndarray) -> np.ndarray:
        """See :class:`Fallback`."""
        return last

    def within_program(self, usable: Tensor, action: Tensor, last: Tensor, zero: Tensor) -> Tensor:
        """See :class:`Fallback`."""
        return torch.where(usable.unsqueeze(-1), action, last)


class ZeroAction:
    """The environment's own 0, or what is nearest within its bounds."""

    def __call__(self, error: Exception, last: np.ndarray, zero: np.ndarray) -> np.ndarray:
        """See :class:`Fallback`."""
        return zero

    def within_program(self, usable: Tensor, action: Tensor, last: Tensor, zero: Tensor) -> Tensor:
        """See :class:`Fallback`."""
        return torch.where(usable.unsqueeze(-1), action, zero)


NAMED: Mapping[str, Fallback] = MappingProxyType(
    {"raise": RaiseError(), "hold": HoldLast(), "zero": ZeroAction()}
)


def named(name: str) -> Fallback:
    """The fallback of a name.

    Raises:
        ValueError: there is none.
    """
    if name not in NAMED:
        raise ValueError(f"fallback {name!r}: expected one of {', '.join(NAMED)}")
    return NAMED[name]
