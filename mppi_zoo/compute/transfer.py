"""Between host and device: every crossing of the training loop goes through here.

To the device nothing waits. To the host the caller waits for all that the device has yet to do, so
that is done once an environment step. On a CPU both are no work at all.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def same_device(name: torch.device | str) -> torch.device:
    """A device as its tensors name it: cuda is cuda:0, say, so that the two compare equal."""
    return torch.empty(0, device=name).device


def to_device(
    values: np.ndarray | Tensor, device: torch.device, dtype: torch.dtype | None = None
) -> Tensor:
    """Host values on the device, without waiting for it."""
    host = torch.as_tensor(values, dtype=dtype)
    if device.type != "cuda" or host.device.type != "cpu":
        return host.to(device)
    # a copy from pageable memory waits; pinned blocks are kept and reused once they were read
    return host.pin_memory().to(device, non_blocking=True)


def to_host(*tensors: Tensor) -> tuple[np.ndarray, ...]:
    """Tensors of one device on the host as float32, in one transfer; waits for the device."""
    if tensors[0].device.type == "cpu":
        return tuple(tensor.detach().float().numpy() for tensor in tensors)
    flat = torch.cat([tensor.detach().float().flatten() for tensor in tensors]).cpu().numpy()
    ends = np.cumsum([tensor.numel() for tensor in tensors])[:-1]
    parts = np.split(flat, ends)
    return tuple(part.reshape(t.shape) for part, t in zip(parts, tensors, strict=True))


def wait_for(device: torch.device) -> None:
    """Until a device has done all that it was given; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def rows(values: Mapping[str, Tensor], mask: np.ndarray | None) -> Mapping[str, Tensor]:
    """The rows of tensors [N, ...] where mask [N] bool is True; None: the tensors themselves."""
    if mask is None:
        return values
    kept = torch.from_numpy(np.flatnonzero(mask))
    return {name: value[kept.to(value.device)] for name, value in values.items()}


def in_one_piece(values: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Tensors [N, ...] on a device as float32; those that are elsewhere come over together."""
    away = {name: value for name, value in values.items() if value.device != device}
    moved = {name: value.float() for name, value in values.items() if name not in away}
    if away:
        flat = torch.cat([v.reshape(len(v), -1).float() for v in away.values()], 1)
        parts = to_device(flat, device).split([v[0].numel() for v in away.values()], 1)
        for (name, value), part in zip(away.items(), parts, strict=True):
            moved[name] = part.reshape(value.shape)
    return moved
