"""What bfloat16 and TF32 do to the golden numbers: largest errors by member and setting.

    MPPI_ZOO_SHARED=FOLDER python -m benchmarks.golden_errors [--device cuda]

Errors are |difference|/(1 + |reference|), the tests' own, against the authors' programs in float32.
On a CPU TF32 is emulated: the factors of every product, backward too, are rounded to 10 bits of
mantissa, to nearest. That is what a tensor core is given; its sums may be rounded otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import machine
from mppi_zoo.compute.precision import TF32Matmul

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("tdmpc2", "bmpc", "tdmpc_square", "boom")
BFLOAT16 = "Execution.planning_precision=@BFloat16Hidden"
TF32 = "Execution.matmul_precision=@TF32Matmul()"
ROUNDED_BITS = 13  # of float32's 23 bits of mantissa


def tf32(x: Tensor) -> Tensor:
    """float32 rounded to TF32's mantissa, to nearest, ties to even: [...]."""
    bits = x.contiguous().view(torch.int32)
    half = (1 << (ROUNDED_BITS - 1)) - 1 + ((bits >> ROUNDED_BITS) & 1)
    rounded = ((bits + half) >> ROUNDED_BITS) << ROUNDED_BITS
    return torch.where(torch.isfinite(x), rounded.view(torch.float32), x)


class EmulatedTF32(TorchDispatchMode):
    """Within it float32 products have rounded factors."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        aten = torch.ops.aten
        factors = {aten.mm: (0, 1), aten.bmm: (0, 1), aten.addmm: (1, 2), aten.baddbmm: (1, 2)}
        ours = {torch.ops.mppi_zoo.linear: (0, 1), torch.ops.mkldnn._linear_pointwise: (0, 1)}
        positions = (factors | ours).get(func.overloadpacket, ())
        given = [
            tf32(a) if number in positions and a.dtype == torch.float32 else a
            for number, a in enumerate(args)
        ]
        return func(*given, **(kwargs or {}))


def errors(goldens: Path, kind: str, part: str, *params: str) -> dict[str, float]:
    """Largest error of each recorded array, by name: ``part`` is plans or updates."""
    sys.path.insert(0, str(ROOT / "tests"))
    try:
        from conformance import test_goldens  # pyright: ignore[reportMissingImports]
    finally:
        sys.path.pop(0)
    found: dict[str, float] = {}

    class Looking(test_goldens.Golden):
        def judge(self, key: str, error: float, limit: float) -> None:
            del limit
            name = key.split(".", 1)[-1]
            found[name] = max(found.get(name, 0.0), error)
            self.compared += 1

        def same(self, ours: Tensor, key: str, tolerance: float = 0.0) -> None:
            super().same(ours, key, tolerance)
            if key.endswith("iter.value"):  # before a swapped elite leads the plan elsewhere
                self.same_tensor(ours[0], self[key][0], key=key + ".first")

        def agent(self, kind: str, member: str | None = None, *extra: str) -> Any:
            return super().agent(kind, member, *extra, *params)

        def execution(self, kind: str) -> Any:
            execution = super().execution(kind)
            execution.refreshed_networks()  # the plans call the planner itself
            return execution

    real = test_goldens.Golden
    test_goldens.Golden = Looking
    try:
        getattr(test_goldens, f"test_{part}")(goldens, kind, "f32")
    finally:
        test_goldens.Golden = real
    return found


def rows(goldens: Path, device: str) -> list[list[str]]:
    """Lines of the table."""
    rounded = EmulatedTF32 if device == "cpu" else TF32Matmul()
    lines = []
    for kind in KINDS:
        settings = {
            "float32": (contextlib.nullcontext, ()),
            "bfloat16 hidden layers": (contextlib.nullcontext, (BFLOAT16,)),
            "TF32": (rounded, (TF32,)),
        }
        for name, (context, params) in settings.items():
            with context():
                plan = errors(goldens, kind, "plans", *params)
            line = [
                f"{kind}, {name}",
                f"{plan['iter.value.first']:.1e}",
                f"{1 - plan['iter.elite_idxs']:.3f}",
                f"{plan.get('action', plan.get('mu', float('nan'))):.1e}",
            ]
            if name == "bfloat16 hidden layers":
                lines.append([*line, "as float32", ""])
                continue
            with context():
                update = errors(goldens, kind, "updates", *params)
            after = max(e for n, e in update.items() if "." in n and "loss" not in n)
            losses = max(e for n, e in update.items() if n.endswith("loss"))
            lines.append([*line, f"{losses:.1e}", f"{after:.1e}"])
    return lines


HEADER = ["", "first scores", "elites shared", "action", "losses", "gradients, parameters"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--goldens", type=Path, default=None)
    args = parser.parse_args()
    os.environ["MPPI_ZOO_DEVICE"] = args.device
    shared = os.environ.get("MPPI_ZOO_SHARED", str(ROOT.parent / "shared"))
    goldens = args.goldens or Path(shared) / "goldens" / "algorithms"
    print(machine.describe(torch.get_num_threads()))
    print(machine.table(HEADER, rows(goldens, args.device)))


if __name__ == "__main__":
    main()
