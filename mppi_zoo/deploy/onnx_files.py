"""Programs for onnxruntime: needs the packages of the extra ``onnx``."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from mppi_zoo.core.extras import require
from mppi_zoo.runs.atomic import write_file


def write(
    path: Path,
    program: nn.Module,
    inputs: Sequence[tuple[str, Tensor, int]],
    noise: Sequence[tuple[str, Tensor, int | None]],
    outputs: Sequence[str],
) -> None:
    """Write a program as one ONNX file.

    Args:
        inputs: name, example of two states and axis of the states of each input.
        noise: of the further inputs; axis None: the same for all states.
        outputs: their names.

    Raises:
        ImportError: a package is missing.
        ValueError: something in the program is beyond ONNX.
    """
    # torch's exporter asks for them late, with a worse message
    require("onnx", "", "onnx", "onnxscript")
    batch = torch.export.Dim("batch", min=1)
    shapes: dict[str, object] = {name: {axis: batch} for name, _, axis in inputs}
    if noise:
        shapes["noise"] = tuple({} if axis is None else {axis: batch} for _, _, axis in noise)
    examples = tuple(example for _, example, _ in (*inputs, *noise))
    with _quiet():
        try:
            made = torch.onnx.export(
                program,
                examples,
                dynamic_shapes=shapes,
                input_names=[name for name, _, _ in (*inputs, *noise)],
                output_names=list(outputs),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise ValueError(
                f"{path.name} cannot be written: {reason}. Export without --onnx, or replace "
                "the part that ONNX does not know"
            ) from error
    assert made is not None
    content = made.model_proto.SerializeToString()
    write_file(path, lambda file: file.write(content))


@contextlib.contextmanager
def _quiet():
    """Without the exporter's remarks on packages that nothing here needs."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
