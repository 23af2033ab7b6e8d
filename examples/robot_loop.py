"""A control loop at a fixed rate, against an arm that moves in a process of its own.

    python robot_loop.py RUN_FOLDER [--hz 50] [--seconds 10] [--deadline 0.015] [--compile]

The run folder is one of custom_env.py's arm. The arm's process stands for a robot's driver: it
moves in real time, whether commands come or not, and answers a command with its sensors. Prints p50
and p99 of the time from sensors to command, the missed deadlines, and how often the planner made
how many iterations. docs/on_a_robot.md explains the loop.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import time
from collections import Counter
from multiprocessing.connection import Connection

import numpy as np
from custom_env import TORQUE, hand, moved


def arm(pipe: Connection, seed: int) -> None:
    """The robot: until the pipe is closed, it moves by the last torque that it was sent."""
    draws = np.random.default_rng(seed)
    position, velocity = draws.uniform(-1, 1, 2), np.zeros(2)
    target, torque, then = hand(draws.uniform(-1, 1, 2)), np.zeros(2), time.perf_counter()
    while True:
        message = pipe.recv() if pipe.poll(0.002) else None
        now = time.perf_counter()
        position, velocity = moved(position, velocity, torque, now - then)
        then = now
        if message is None:
            continue
        if isinstance(message, str):  # "stop"
            return
        torque = np.clip(message, -TORQUE, TORQUE)
        pipe.send(
            {
                "joints": position,
                "velocities": velocity,
                "to_target": target - hand(position),
                "time": now,  # entries that the agent does not know are left out
            }
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="run folder of custom_env:Arm")
    parser.add_argument("--hz", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--deadline", type=float, default=0.015, help="of the planner, seconds")
    parser.add_argument("--compile", action="store_true", help="compile the planner first")
    args = parser.parse_args()

    import mppi_zoo

    # a robot that loses a sensor holds its last torque for a step; many in a row should stop it
    controller = mppi_zoo.load(args.run, fallback="hold", threads=1, compile=args.compile)
    controller.warm_up()
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=arm, args=(there, 0))
    process.start()
    here.send(np.zeros(2))
    sensors = here.recv()
    controller.reset()  # an episode begins
    gc.collect()
    gc.freeze()  # what is there stays: the collector need not look at it within the loop

    period, taken, made = 1 / args.hz, [], Counter()
    due = time.perf_counter()
    try:
        for _ in range(round(args.seconds * args.hz)):
            begun = time.perf_counter()
            torque = controller.act(sensors, native=True, deadline=args.deadline)
            here.send(torque)
            taken.append(time.perf_counter() - begun)
            assert controller.last is not None
            made[controller.last.iterations] += 1
            sensors = here.recv()
            due += period
            left = due - time.perf_counter()
            if left > 0:
                time.sleep(left)
                here.send(torque)  # the newest sensors, at the tick
                sensors = here.recv()
            else:
                due = time.perf_counter()  # lost time is not made up for
    finally:
        here.send("stop")
        process.join(5)
    p50, p99 = np.percentile(1e3 * np.array(taken), [50, 99])
    missed = sum(seconds > period for seconds in taken)
    print(f"{len(taken)} steps at {args.hz:g} Hz: p50 {p50:.1f} ms, p99 {p99:.1f} ms, ", end="")
    print(f"{missed} missed the period of {1e3 * period:.0f} ms, {controller.refusals} refused")
    print("planner's iterations:", dict(sorted(made.items(), key=lambda pair: str(pair[0]))))
    print(f"distance to the target at the end: {np.linalg.norm(sensors['to_target']):.2f} m")


if __name__ == "__main__":
    main()
