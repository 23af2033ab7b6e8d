"""Host and device on a CPU, where both are one."""

from __future__ import annotations

import numpy as np
import torch

from mppi_zoo.compute.transfer import same_device, to_device, to_host

CPU = torch.device("cpu")


def test_values_reach_the_device_in_the_type_that_is_asked_for() -> None:
    values = np.arange(6, dtype=np.float64).reshape(2, 3)
    there = to_device(values, CPU, torch.float32)
    assert there.dtype == torch.float32 and there.tolist() == values.tolist()
    assert to_device(values, CPU).dtype == torch.float64
    meta = to_device(values, torch.device("meta"))
    assert meta.device.type == "meta" and meta.shape == (2, 3)


def test_tensors_come_back_in_their_shapes_as_single_precision() -> None:
    given = torch.rand(2, 3, dtype=torch.float64, requires_grad=True), torch.tensor([True, False])
    numbers, flags = to_host(*given)
    assert numbers.dtype == flags.dtype == np.float32
    np.testing.assert_array_equal(numbers, given[0].detach().float().numpy())
    assert flags.tolist() == [1.0, 0.0]


def test_a_device_is_named_as_its_tensors_name_it() -> None:
    for name in ("cpu", "meta", CPU):
        assert same_device(name) == torch.zeros(1, device=name).device
