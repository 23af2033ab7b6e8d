"""A controller without torch and without mppi_zoo: onnxruntime and NumPy, to copy to the robot.

    python -m mppi_zoo.export RUN_FOLDER --onnx --fallback hold     # on the machine that trained
    python onnx_controller.py RUN_FOLDER/exported                   # on the robot

Run as a program it acts on random observations and prints p50 and p99.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime


class OnnxController:
    """Acts by the exported planner, or by the bare policy.

    Args:
        folder: what mppi_zoo.export wrote.
        planner: plan; False: the policy.
        threads: that onnxruntime computes with.
        seed: of the planner's draws.
    """

    def __init__(self, folder: Path, planner: bool = True, threads: int = 1, seed: int = 0):
        self.facts: dict[str, Any] = json.loads((folder / "export.json").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        name = "planner.onnx" if planner else "policy.onnx"
        self.session = onnxruntime.InferenceSession(str(folder / name), options)
        self.inputs = {entry.name for entry in self.session.get_inputs()}
        self.draws = np.random.default_rng(seed)
        self.reset()

    def reset(self) -> None:
        """An episode begins."""
        action = self.facts["action"]
        low, high = np.array(action["low"]), np.array(action["high"])
        self.last = np.clip(0.0, low, high).astype(action["dtype"])[None]
        shape = [1 if size == "batch" else size for size in self.facts["plan_shape"]]
        self.plan = np.zeros(shape, np.float32)

    def act(self, obs: dict[str, Any] | np.ndarray) -> np.ndarray:
        """The action in the robot's units; what cannot be acted on gives the fallback's."""
        if isinstance(obs, dict):  # by name, in the order of training
            keys = [entry["key"] for entry in self.facts["observation"]["entries"]]
            obs = np.concatenate([np.ravel(obs[key]) for key in keys])
        flat = np.asarray(obs, np.float32)[None]
        given = {"obs": flat, "last": self.last, "plan": self.plan, **self._noise()}
        taken = {name: value for name, value in given.items() if name in self.inputs}
        outputs: Any = self.session.run(None, taken)
        self.last, refused = outputs[0], int(outputs[-1][0])
        if len(outputs) == 3:
            self.plan = outputs[1]
        if refused >= 0:
            print(f"number {refused} of the observation cannot be acted on")
        return self.last[0].reshape(self.facts["action"]["shape"])

    def _noise(self) -> dict[str, np.ndarray]:
        """The draws of a plan, as export.json describes them."""
        noise = {}
        for entry in self.facts["noise"]:
            if entry["name"] not in self.inputs:
                continue
            shape = [1 if size == "batch" else size for size in entry["shape"]]
            if entry["distribution"] == "normal":
                value = self.draws.standard_normal(shape, np.float32)
            elif entry["distribution"] == "exponential":
                value = self.draws.standard_exponential(shape, np.float32)
            elif entry["distribution"] == "pairs":  # of two different critic heads
                value = self.draws.random((*shape[:-1], entry["below"])).argsort(-1)[..., :2]
            else:
                raise ValueError(f"{entry['name']}: no draw of {entry['distribution']} here")
            noise[entry["name"]] = np.ascontiguousarray(value, entry["dtype"])
        return noise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--policy", action="store_true", help="the bare policy, no plan")
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()
    controller = OnnxController(args.folder, planner=not args.policy)
    size, taken = controller.facts["observation"]["shape"][0], []
    draws = np.random.default_rng(0)
    for _ in range(args.steps):
        obs = draws.normal(size=size)
        begun = time.perf_counter()
        action = controller.act(obs)
        taken.append(1e3 * (time.perf_counter() - begun))
    p50, p99 = np.percentile(taken, [50, 99])
    print(f"{args.steps} actions, the last {action}: p50 {p50:.2f} ms, p99 {p99:.2f} ms")


if __name__ == "__main__":
    main()
