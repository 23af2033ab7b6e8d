"""Records that describe a robot or a scene in numbers; units are m, kg, s and rad."""

from __future__ import annotations

from typing import NamedTuple

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]

ORIGIN: Vector = (0.0, 0.0, 0.0)
UNTURNED: Quaternion = (1.0, 0.0, 0.0, 0.0)


class Inertia(NamedTuple):
    """Mass, centre of mass, principal moments (kg m^2) and the rotation to their axes."""

    mass: float
    com: Vector
    moments: Vector
    axes: Quaternion = UNTURNED


class Hinge(NamedTuple):
    """A limited hinge at the link's origin.

    Attributes:
        name: of the joint.
        axis: in the link's frame.
        range: limits of the angle.
        damping: N m s/rad.
        armature: kg m^2.
        friction: dry friction, N m.
    """

    name: str
    axis: Vector
    range: tuple[float, float]
    damping: float
    armature: float
    friction: float


class Shape(NamedTuple):
    """A colliding shape in its body's frame.

    Attributes:
        kind: "box", "capsule", "cylinder", "sphere", "prism" or "mesh".
        size: half-sizes of a box; radius, half-length of a capsule or cylinder; radius of a sphere;
            for a prism half its length along x, half its width along y, its height.
        pos, quat: where it is.
        name: of the geom; for a mesh the link whose file it is.
    """

    kind: str
    size: tuple[float, ...] = ()
    pos: Vector = ORIGIN
    quat: Quaternion = UNTURNED
    name: str = ""


class Link(NamedTuple):
    """A body, joined to its parent by a hinge; it moves freely where ``hinge`` is None."""

    name: str
    parent: str
    pos: Vector
    quat: Quaternion
    inertia: Inertia
    hinge: Hinge | None
    shapes: tuple[Shape, ...]


class Servo(NamedTuple):
    """A position actuator: force stiffness * (target - length) - damping * velocity, clipped.

    Attributes:
        name: of the actuator.
        target: the joint it turns, or the tendon it pulls.
        stiffness: N m/rad.
        damping: N m s/rad.
        force: limit of the force, N m.
        range: limits of the control, rad.
        tendon: whether ``target`` is a tendon.
    """

    name: str
    target: str
    stiffness: float
    damping: float
    force: float
    range: tuple[float, float]
    tendon: bool = False


def mirrored(pos: Vector) -> Vector:
    """A position reflected in the plane y = 0, from left to right."""
    x, y, z = pos
    return (x, -y, z)


def mirrored_turn(quat: Quaternion) -> Quaternion:
    """A rotation reflected in the plane y = 0."""
    w, x, y, z = quat
    return (w, -x, y, -z)
