"""Matrix products of the networks, by the faster of the two libraries that torch ships on a CPU.

torch sends float32 products to MKL, which leaves half the width of AVX-512 unused on a CPU that is
not Intel's; oneDNN, which torch uses for bfloat16, does not. Without AVX-512 MKL is the faster one.
Both are exact float32. Products in bfloat16 are computed in float32 and rounded where the CPU lacks
their instructions; on other devices and in other dtypes nothing changes (measurements:
docs/speed.md).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# multiplications below which calling oneDNN costs more than it saves; with a gradient, which goes
# by an operator of our own, it costs more (`benchmarks/bench_linear.py`)
SMALLEST, SMALLEST_LEARNING = 2**21, 2**23


_AVAILABLE = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
_onednn = torch.ops.mkldnn._linear_pointwise.default if _AVAILABLE else None
PREFERRED = _AVAILABLE and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
# without its instructions torch takes seven times as long for a product in bfloat16 as in float32
BFLOAT16 = _AVAILABLE and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _dense(x: Tensor) -> Tensor:
    # oneDNN is a thousand times slower on slices of a larger matrix
    return x if x.is_contiguous() or x.mT.is_contiguous() else x.contiguous()


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if _onednn is None:
        return F.linear(x, weight, bias)
    rows = _dense(x if x.ndim == 2 else x.reshape(-1, x.shape[-1]))
    y = _onednn(rows, _dense(weight), bias, "none", [], "")
    return y if x.ndim == 2 else y.view(*x.shape[:-1], weight.shape[0])


# An operator of our own, so that the compiler calls it as it stands and differentiates it.
_library = torch.library.Library("mppi_zoo", "FRAGMENT")
_library.define("linear(Tensor x, Tensor weight, Tensor? bias) -> Tensor")
_library.impl("linear", _product, "CPU")


@torch.library.register_fake("mppi_zoo::linear", lib=_library)
def _shape(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(*x.shape[:-1], weight.shape[0])


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0], inputs[1])


def _gradients(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    x, weight = ctx.saved_tensors
    for_x, for_weight, for_bias = ctx.needs_input_grad
    rows, inputs = (t.reshape(-1, t.shape[-1]) for t in (grads[0], x))
    return (
        linear(grads[0], weight.mT) if for_x else None,
        linear(rows.mT, inputs.mT) if for_weight else None,
        rows.sum(0) if for_bias else None,
    )


torch.library.register_autograd("mppi_zoo::linear", _gradients, setup_context=_save, lib=_library)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x weight^T + bias: x [..., in], weight [out, in], bias [out] -> [..., out]."""
    if _emulated(x):
        return F.linear(x.float(), weight.float(), None if bias is None else bias.float()).to(x)
    if not _ours(x, weight):
        return F.linear(x, weight, bias)
    if torch.compiler.is_compiling() or torch.is_grad_enabled():
        return torch.ops.mppi_zoo.linear(x, weight, bias)
    return _product(x, weight, bias)  # without the operator's detour


def _ours(x: Tensor, weight: Tensor) -> bool:
    """Whether a product x [..., in] by weight [out, in] goes to oneDNN."""
    if not PREFERRED or x.dtype != torch.float32 or x.device.type != "cpu":
        return False
    learns = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    if x.numel() * weight.shape[0] < (SMALLEST_LEARNING if learns else SMALLEST):
        return False
    return not torch.compiler.is_exporting()  # an exported program runs without this package


def _emulated(x: Tensor) -> bool:
    """Whether a product is computed in float32 and rounded: bfloat16's sums are float32 anyway."""
    short = x.dtype == torch.bfloat16 and x.device.type == "cpu" and not BFLOAT16
    return short and not torch.compiler.is_exporting()


def ensemble_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """E products side by side: x [E, n, in], weight [E, out, in], bias [E, out] -> [E, n, out]."""
    if _emulated(x):
        shift = None if bias is None else bias.float()
        return ensemble_linear(x.float(), weight.float(), shift).to(x)
    if x.shape[0] == 1:
        return linear(x[0], weight[0], None if bias is None else bias[0]).unsqueeze(0)
    if _ours(x[0], weight[0]):
        shifts = [None] * x.shape[0] if bias is None else bias.unbind(0)
        parts = zip(x.unbind(0), weight.unbind(0), shifts, strict=True)
        return torch.stack([linear(*part) for part in parts])
    if bias is None:
        return torch.bmm(x, weight.mT)
    return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)
