"""What an environment does wrong, told with the place where it did."""

from __future__ import annotations


class EnvironmentFault(RuntimeError):
    """An environment raised, hung, died, or returned something that no agent can learn from."""
