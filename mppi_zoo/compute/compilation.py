"""How the package calls ``torch.compile``: with what costs nothing at each call.

torch checks before each call of compiled code whether all still is as it was when it was compiled.
For our losses and plans it checks 370 to 860 properties, 0.26 ms a call and five calls a plan at
laptop scale. Most are hooks, types and attributes of layers, which stay as they were built. So of a
network only the tensors' shapes and dtypes are checked here, 0.16 ms a call; and each function has
compiled code of its own, so that none runs what another network's layers were compiled to.

On a CPU the calls between the compiled kernels are compiled as well, into one file of C++ for each
graph: a plan at laptop scale takes a tenth less time, and compiling a quarter less.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")
_ISOLATES = "isolate_recompiles" in inspect.signature(torch.compile).parameters  # newer torch


def compiled(function: Callable[P, R], device: torch.device) -> Callable[P, R]:
    """``function`` compiled, once for each shape that it meets.

    Networks must not get other layers, attributes or hooks after the first call, nor may calls pass
    networks that differ in them alone; that the values of tensors change is fine. Everything else
    that the function reads (arguments, closures, attributes of what is no network) is checked.

    Args:
        device: of the tensors that it computes with.
    """
    options: dict[str, Any] = {"cpp_wrapper": True} if device.type == "cpu" else {}
    if not _ISOLATES:
        return torch.compile(function, dynamic=False, options=options)
    options["guard_filter_fn"] = _checked
    return torch.compile(  # pyright: ignore[reportCallIssue]
        function, dynamic=False, isolate_recompiles=True, options=options
    )


def _checked(entries: Sequence[Any]) -> list[bool]:
    """Which of torch's checks are kept."""
    return [
        entry.guard_type == "TENSOR_MATCH"
        or not entry.orig_guard.source.is_unspecialized_nn_module()
        for entry in entries
    ]
