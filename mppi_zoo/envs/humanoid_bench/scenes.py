"""The objects around the robot in each task: half-sizes in m, centres in the world's frame.

Source: measured on the original (docs/humanoid_bench.md). The floor, an infinite plane at z = 0, is
in every scene.
"""

from __future__ import annotations

from typing import NamedTuple

from mppi_zoo.envs.humanoid_bench.parts import ORIGIN, Inertia, Shape, Vector

MAZE_ROWS = ("#######", "#.....#", "###.#.#", "#.....#", "#.#.###", "#.....#", "#######")
MAZE_BLOCK = 1.5


class Prop(NamedTuple):
    """A body of the scene, fixed unless it has an inertia: then it moves freely."""

    name: str
    shapes: tuple[Shape, ...]
    pos: Vector = ORIGIN
    inertia: Inertia | None = None


class Scene(NamedTuple):
    """Props in the order of their joints, where the robot's pelvis starts, points to be shown."""

    props: tuple[Prop, ...] = ()
    start: Vector = (0.0, 0.0, 0.98)
    marks: tuple[Vector, ...] = ()


FLAT = Scene()


def hurdles() -> Scene:
    """Ten low walls across a lane between barriers."""
    bars = [_box(f"hurdle_{i}", (7.0 * i, 0, 0.1875), (0.03, 5, 0.1875)) for i in range(1, 11)]
    barriers = [
        _box("barrier_left", (35, -4.725, 1), (35.5, 0.275, 1)),
        _box("barrier_right", (35, 4.725, 1), (35.5, 0.275, 1)),
        _box("barrier_behind", (-0.525, 0, 1), (0.05, 5, 1)),
    ]
    return Scene((Prop("track", (*bars, *barriers)),))


def tunnel() -> Scene:
    """A low tunnel ahead."""
    sides = [
        _box(f"tunnel_{name}", (10.2, y, 0.775), (8, 0.2, 0.775))
        for name, y in (("left", 1.35), ("right", -1.35))
    ]
    return Scene((Prop("tunnel", (*sides, _box("tunnel_top", (10.2, 0, 1.35), (8, 1.15, 0.2)))),))


def maze() -> Scene:
    """Blocks on a grid; row 0 is the farthest to the left."""
    blocks = [
        _box(
            f"block_{row}_{column}",
            (MAZE_BLOCK * (column - 1), MAZE_BLOCK * (5 - row), 0.6),
            (MAZE_BLOCK / 2, MAZE_BLOCK / 2, 0.6),
        )
        for row, line in enumerate(MAZE_ROWS)
        for column, cell in enumerate(line)
        if cell == "#"
    ]
    return Scene((Prop("maze", tuple(blocks)),), marks=((3, 0, 0), (3, 6, 0), (6, 6, 0)))


def stairs() -> Scene:
    """Four stepped pyramids, one behind the other, between walls."""
    steps = [
        _box(f"step_{k}_{j}", (3.2 + 6 * k, 0, 0.09 + 0.18 * j), (2.7 - 0.6 * j, 5, 0.09))
        for k in range(4)
        for j in range(5)
    ]
    walls = [
        _box("wall_left", (13.5, 5.05, 2), (15.5, 0.1, 2)),
        _box("wall_right", (13.5, -5.05, 2), (15.5, 0.1, 2)),
        _box("wall_behind", (-2.1, 0, 2), (0.1, 7.25, 2)),
    ]
    return Scene((Prop("stairs", (*steps, *walls)),))


def slides() -> Scene:
    """Nine ridges, one behind the other, between walls."""
    ridges = [
        Shape("prism", (5.0, 5.0, 1.75), (5.3 + 10.0 * k, 0.0, 0.0), name=f"ridge_{k}")
        for k in range(9)
    ]
    walls = [
        _box("wall_left", (48.85, 5.15, 4), (53, 0.15, 4)),
        _box("wall_right", (48.85, -5.15, 4), (53, 0.15, 4)),
        _box("wall_behind", (-4, 0, 4), (0.15, 5.15, 4)),
    ]
    return Scene((Prop("slides", (*ridges, *walls)),))


def poles() -> Scene:
    """A forest of poles in staggered rows between walls."""
    forest = [
        Shape("cylinder", (0.05, 1.0), (float(x), y, 1.0), name=f"pole_{x}_{i}")
        for x in range(1, 42)
        for i, y in enumerate((-2.25, -0.75, 0.75, 2.25) if x % 2 else (-1.5, 0.0, 1.5))
    ]
    walls = [
        _box("wall_left", (20, 3.15, 1), (20.75, 0.15, 1)),
        _box("wall_right", (20, -3.15, 1), (20.75, 0.15, 1)),
        _box("wall_behind", (-0.6, 0, 1), (0.15, 3, 1)),
    ]
    return Scene((Prop("forest", (*forest, *walls)),))


def chair(free: bool) -> Scene:
    """A chair behind the robot, fixed or free to be pushed over."""
    shapes = (
        _box("chair_back", (-0.23, 0, 0.65), (0.02, 0.21, 0.2)),
        _box("chair_seat", (0, 0, 0.2375), (0.21, 0.21, 0.2375)),
    )
    inertia = Inertia(
        15.748,
        (-0.05912116, 0.0, 0.47966472),
        (1.02448531, 0.92528903, 0.54639759),
        (0.94939545, 0.0, -0.31408324, 0.0),
    )
    return Scene((Prop("chair", shapes, (-0.25, 0.0, 0.0), inertia if free else None),))


def balance(free_sphere: bool) -> Scene:
    """A board on a sphere, the robot above it; the board is always free."""
    board = Inertia(19.8, ORIGIN, (2.00244, 0.15444, 2.145))
    sphere = Inertia(20.5795263, ORIGIN, (0.23789932, 0.23789932, 0.23789932))
    props = (
        Prop("board", (_box("board", ORIGIN, (0.15, 0.55, 0.03)),), (0.0, 0.0, 0.37), board),
        Prop(
            "sphere",
            (Shape("sphere", (0.17,), name="sphere"),),
            (0.0, 0.0, 0.17),
            sphere if free_sphere else None,
        ),
    )
    return Scene(props, start=(-0.1, 0.0, 1.38))


def _box(name: str, pos: Vector, half: Vector) -> Shape:
    return Shape("box", half, pos, name=name)
