"""Whole plans and updates as CUDA graphs: recorded once, then launched as one.

A graph replays the kernels of one call on the same memory, and none of its Python. So what goes in
is copied to tensors that stay, what comes out is copied from tensors that stay, and whatever else a
call may depend on is part of the key under which its graph is kept.

The first calls with a key run as they are, which warms up what must not happen in a recording
(compilers, libraries, an optimiser's state), and recording runs nothing: so no call is run twice,
and a recording that fails leaves everything as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
Replay = Callable[[], None]
WARM_UP = 3  # calls with a key before its graph is recorded


class Recorder(Protocol):
    """What records and replays: :class:`CudaRecorder`, or a stand-in for it on a CPU."""

    def warm_up(self, function: Callable[[], T]) -> T:
        """Call the function where it will be recorded."""
        ...

    def record(self, function: Callable[[], T]) -> tuple[Replay, T]:
        """Record the function without running it; its result is filled at each replay."""
        ...

    def wait(self) -> None:
        """Until nothing is running."""
        ...


class CudaRecorder:
    """CUDA graphs that share one stream and one pool of memory.

    They may share memory since they never run side by side and their results are copied at once.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()

    def warm_up(self, function: Callable[[], T]) -> T:
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            result = function()
        current.wait_stream(self.stream)
        return result

    def record(self, function: Callable[[], T]) -> tuple[Replay, T]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            result = function()
        return graph.replay, result

    def wait(self) -> None:
        torch.cuda.synchronize(self.device)


class Recorded:
    """A function of tensors that runs as it is or, once told to, as a graph.

    Arguments and results are tensors, or (named) tuples and, of results, dicts of them; other
    arguments are hashable and part of the key, as are the tensors' shapes, dtypes and devices.

    Args:
        name: what it is, for messages.
        function: all tensors that it changes besides its results must stay where they are.
    """

    def __init__(self, name: str, function: Callable[..., Any]):
        self.name, self.function = name, function
        self.recorder: Recorder | None = None
        self._report: Callable[[str], object] = print
        self._calls: dict[Any, int] = {}
        self._graphs: dict[Any, _Graph] = {}

    def begin(self, recorder: Recorder, report: Callable[[str], object]) -> None:
        """Record from now on; if that fails, ``report`` is told in one line and no more is."""
        self.recorder, self._report = recorder, report
        self.forget()

    def forget(self) -> None:
        """Drop all graphs; others are recorded in their place."""
        if self._graphs and self.recorder is not None:
            self.recorder.wait()  # none may be dropped while it runs
        self._calls.clear()
        self._graphs.clear()

    @property
    def count(self) -> int:
        """Graphs there are."""
        return len(self._graphs)

    def __call__(self, *args: Any) -> Any:
        if self.recorder is None:
            return self.function(*args)
        key = mapped(args, _signature)
        graph = self._graphs.get(key)
        if graph is None:
            self._calls[key] = self._calls.get(key, 0) + 1
            if self._calls[key] <= WARM_UP:
                return self.recorder.warm_up(lambda: self.function(*args))
            try:
                graph = self._graphs[key] = _Graph(self.function, args, self.recorder)
            except Exception as error:  # drivers, libraries and parts of users fail in many ways
                self.forget()
                self.recorder = None
                lines = str(error).strip().splitlines()
                reason = lines[0] if lines else type(error).__name__
                self._report(f"no CUDA graph of the {self.name} ({reason}): going on without it")
                return self.function(*args)
        return graph(args)


class _Graph:
    """One recording: the tensors that go in, and those that come out."""

    def __init__(self, function: Callable[..., Any], args: Any, recorder: Recorder):
        self.inputs: list[Tensor] = []
        kept = mapped(args, self._keep)
        self.replay, (self.result, self.figures) = recorder.record(lambda: packed(function(*kept)))

    def _keep(self, tensor: Tensor) -> Tensor:
        self.inputs.append(tensor.clone())
        return self.inputs[-1]

    def __call__(self, args: Any) -> Any:
        given: list[Tensor] = []
        mapped(args, given.append)
        copy_all(self.inputs, given)
        self.replay()
        # copies: the next replay writes to the same tensors
        figures = iter(() if self.figures is None else self.figures.clone().unbind())
        return mapped(self.result, lambda t: next(figures) if t.ndim == 0 else t.clone())


def packed(result: Any) -> tuple[Any, Tensor | None]:
    """A result, and its 0-d tensors as one, which is copied at once: figures are many."""
    figures: list[Tensor] = []
    mapped(result, lambda t: figures.append(t) if t.ndim == 0 else None)
    return result, torch.stack(figures) if figures else None


def copy_all(targets: list[Tensor], sources: list[Tensor]) -> None:
    """Copy tensors in place, those of one kind together."""
    kinds: dict[Any, tuple[list[Tensor], list[Tensor]]] = {}
    for target, source in zip(targets, sources, strict=True):
        ours, theirs = kinds.setdefault((target.dtype, target.device), ([], []))
        ours.append(target)
        theirs.append(source)
    with torch.no_grad():
        for ours, theirs in kinds.values():
            torch._foreach_copy_(ours, theirs)  # pyright: ignore


def mapped(value: Any, function: Callable[[Tensor], Any]) -> Any:
    """The same structure with the function's value in each tensor's place."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {name: mapped(item, function) for name, item in value.items()}
    if isinstance(value, tuple):
        items = (mapped(item, function) for item in value)
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value


def _signature(tensor: Tensor) -> tuple[Any, ...]:
    return (tensor.shape, tensor.dtype, tensor.device)
