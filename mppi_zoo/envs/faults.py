"""The error of an environment that fails; its message says where it failed."""

from __future__ import annotations


class EnvironmentFault(RuntimeError):
    """An environment raised, hung, died, or returned something that no agent can learn from."""
