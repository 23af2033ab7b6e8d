"""Finds out on a CPU what would make a program wait for its GPU.

Tensors on the device "meta" stand for those on a GPU: they hold no numbers, so whatever would read
one on the host fails. :class:`NothingWaits` refuses what else would wait: a copy between host and
device, an operation on tensors of both, shapes that depend on numbers, constants of Python made
into tensors (their copy to the device waits).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

META = torch.device("meta")
aten = torch.ops.aten
READS = {aten._local_scalar_dense, aten.is_nonzero, aten.equal, aten.item}
SHAPED_BY_NUMBERS = {
    aten.nonzero,
    aten.masked_select,
    aten.unique_consecutive,
    aten._unique2,
    aten.unique_dim,
    aten.bincount,
    aten.repeat_interleave,
}
COPIES = {aten._to_copy, aten.copy_, aten.copy}
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}


class NothingWaits(TorchDispatchMode):
    """Within it, whatever would wait raises AssertionError.

    Args:
        cpu_too: tensors on the CPU stand for the device's as well; for what "meta" cannot do.
    """

    def __init__(self, cpu_too: bool = False) -> None:
        super().__init__()
        self.free, self.cpu_too = False, cpu_too

    @contextlib.contextmanager
    def crossing(self) -> Iterator[None]:
        """Within it, host and device may exchange."""
        self.free = True
        try:
            yield
        finally:
            self.free = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        packet = func.overloadpacket
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        on_device = self.cpu_too or any(t.device.type != "cpu" for t in tensors)
        if on_device and not self.free and packet in READS | SHAPED_BY_NUMBERS:
            raise AssertionError(f"{func} reads numbers of a device's tensor")
        result = func(*args, **(kwargs or {}))
        if self.free:
            return result
        made = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
        if not self.cpu_too and all(t.device.type == "cpu" for t in [*tensors, *made]):
            return result  # the host's own work
        if packet in INDEXING and any(
            isinstance(t, Tensor) and t.dtype == torch.bool for t in tree_leaves(args[1])
        ):
            raise AssertionError(f"{func} counts a mask's true values")
        if packet is aten.lift_fresh:
            raise AssertionError(f"a tensor of Python numbers {result.tolist()} would be copied")
        # a kernel takes a single number of the host along; a copy does not
        numbers = 0 if packet not in COPIES else -1
        places = {t.device.type for t in [*tensors, *made] if t.ndim > numbers}
        if len(places) > 1:
            raise AssertionError(f"{func} on tensors of {' and '.join(sorted(places))}")
        return result
