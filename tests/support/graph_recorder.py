"""A stand-in for CUDA graphs on a CPU, as strict as they are.

What is recorded are the operations on tensors, below autograd, not the Python that called them; a
replay does them again on the same memory. So a number of Python's is what it was at the recording,
and a tensor that was replaced is not seen. Recording leaves no trace, reading a number on the host
is refused, and so is drawing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

T = TypeVar("T")


def tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def memory(value: Any) -> set[int]:
    return {tensor.untyped_storage().data_ptr() for tensor in tensors(value)}


class Tape(TorchDispatchMode):
    """The operations done within it."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self.before: dict[int, tuple[Any, Any]] = {}  # memory written to, and what it held

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket is torch.ops.aten._local_scalar_dense:
            raise RuntimeError("operation not permitted when stream is capturing")
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise RuntimeError(f"{func} draws, and a replay would draw the same again")
        for tensor in written(func, args, kwargs):
            storage = tensor.untyped_storage()
            self.before.setdefault(storage.data_ptr(), (storage, storage.clone()))
        result = func(*args, **kwargs)
        self.operations.append((func, args, kwargs, result))
        return result

    def undo(self) -> None:
        """What was written is as it was."""
        for storage, content in self.before.values():
            storage.copy_(content)

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, result in self.operations:
            if func._schema.is_mutable:
                func(*args, **kwargs)
            elif not memory(result) & memory((args, kwargs)):  # else it is a view of what is there
                for ours, new in zip(tensors(result), tensors(func(*args, **kwargs)), strict=True):
                    ours.detach().copy_(new)


def written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors that an operation writes to."""
    if not func._schema.is_mutable:
        return []
    found: list[Tensor] = []
    for number, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = args[number] if number < len(args) else kwargs.get(argument.name)
            found += tensors(given)
    return found


class TapeRecorder:
    """A :class:`~mppi_zoo.compute.cuda_graphs.Recorder`."""

    def __init__(self) -> None:
        self.recorded = self.waited = 0

    def warm_up(self, function: Callable[[], T]) -> T:
        return function()

    def record(self, function: Callable[[], T]) -> tuple[Callable[[], None], T]:
        tape = Tape()
        try:
            with tape:
                result = function()
        finally:
            tape.undo()
        self.recorded += 1
        return tape.replay, result

    def wait(self) -> None:
        self.waited += 1
