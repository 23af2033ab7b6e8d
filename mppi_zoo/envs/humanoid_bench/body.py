"""Parameters of the H1 without its hands: pelvis, legs, torso and arms.

Only the left side is written down; the right one is its mirror image. Source: measured on the
original's compiled model (docs/humanoid_bench.md).
"""

from __future__ import annotations

from mppi_zoo.envs.humanoid_bench.parts import (
    ORIGIN,
    UNTURNED,
    Hinge,
    Inertia,
    Link,
    Quaternion,
    Servo,
    Shape,
    Vector,
    mirrored,
    mirrored_turn,
)

# The pelvis has a free joint, so its position in the model has no effect.
PELVIS = Inertia(
    5.39,
    (-0.0002, 4e-05, -0.04522),
    (0.0490211, 0.0445821, 0.00824619),
    (0.498302887, 0.499453886, -0.500495886, 0.501740886),
)
TORSO = Inertia(
    17.789,
    (0.000489, 0.002797, 0.20484),
    (0.487315, 0.409628, 0.127837),
    (0.999989066, -0.00130808009, -0.00282289019, -0.00349105023),
)

# Shoulders are mounted at an angle on the torso; the next link is turned back by the same angle.
_CANTED: Quaternion = (0.976296348, 0.216438077, 0.0, 0.0)
_UNCANTED: Quaternion = (0.976296348, -0.216438077, 0.0, 0.0)
_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)

# link: parent, position, rotation, inertia, hinge axis, hinge range
_LEG = {
    "hip_yaw": (
        "pelvis",
        (0.0, 0.0875, -0.1742),
        UNTURNED,
        Inertia(
            2.244,
            (-0.04923, 0.0001, 0.0072),
            (0.00304494, 0.00296885, 0.00189201),
            (0.696990002, 0.219193001, 0.233287001, 0.641667002),
        ),
        _Z,
        (-0.43, 0.43),
    ),
    "hip_roll": (
        "hip_yaw",
        (0.039468, 0.0, 0.0),
        UNTURNED,
        Inertia(
            2.232,
            (-0.0058, -0.00319, -9e-05),
            (0.00243264, 0.00225325, 0.00205492),
            (0.0438242146, 0.707210236, -0.0729075243, 0.701867234),
        ),
        _X,
        (-0.43, 0.43),
    ),
    "hip_pitch": (
        "hip_roll",
        (0.0, 0.11536, 0.0),
        UNTURNED,
        Inertia(
            4.152,
            (0.00746, -0.02346, -0.08193),
            (0.0829503, 0.0821457, 0.00510909),
            (0.979828345, 0.0513522181, -0.016985406, -0.192382068),
        ),
        _Y,
        (-3.14, 2.53),
    ),
    "knee": (
        "hip_pitch",
        (0.0, 0.0, -0.4),
        UNTURNED,
        Inertia(
            1.721,
            (-0.00136, -0.00512, -0.1384),
            (0.0125237, 0.0123104, 0.0019428),
            (0.626132198, -0.0342270108, -0.0416277131, 0.777852246),
        ),
        _Y,
        (-0.26, 2.05),
    ),
    "ankle": (
        "knee",
        (0.0, 0.0, -0.4),
        UNTURNED,
        Inertia(
            0.552448,
            (0.048568, 0.0, -0.045609),
            (0.00362, 0.00355701, 0.000149987),
            (0.48938514, 0.510394146, 0.510394146, 0.48938514),
        ),
        _Y,
        (-0.87, 0.52),
    ),
}
_ARM = {
    "shoulder_pitch": (
        "torso",
        (0.0055, 0.15535, 0.42999),
        _CANTED,
        Inertia(
            1.033,
            (0.005045, 0.053657, -0.015715),
            (0.00129936, 0.000987113, 0.000858198),
            (0.814858039, 0.579236028, -0.020107201, -0.00936488045),
        ),
        _Y,
        (-2.87, 2.87),
    ),
    "shoulder_roll": (
        "shoulder_pitch",
        (-0.0055, 0.0565, -0.0165),
        _UNCANTED,
        Inertia(
            0.793,
            (0.000679, 0.00115, -0.094076),
            (0.00170388, 0.00158256, 0.00100336),
            (0.732490957, 0.00917178947, 0.0766655955, 0.676383961),
        ),
        _X,
        (-0.34, 3.11),
    ),
    "shoulder_yaw": (
        "shoulder_roll",
        (0.0, 0.0, -0.1343),
        UNTURNED,
        Inertia(
            0.839,
            (0.01365, 0.002767, -0.16266),
            (0.00408038, 0.00370367, 0.000622687),
            (0.703041824, -0.0331228917, -0.0473361881, 0.708797822),
        ),
        _Z,
        (-1.3, 4.45),
    ),
    "elbow": (
        "shoulder_yaw",
        (0.0185, 0.0, -0.198),
        UNTURNED,
        Inertia(
            0.669,
            (0.15908, -0.000144, -0.015776),
            (0.00601829, 0.00600579, 0.000408305),
            (0.0765231846, 0.720326855, 0.0853115828, 0.684101862),
        ),
        _Y,
        (-1.25, 2.61),
    ),
}

# A box with the bounding box of the original's foot, which is a mesh that no package contains.
FOOT = Shape("box", (0.15, 0.015, 0.0405), (0.05, 0.0, -0.0295))
_HIP_BARREL = Shape(
    "cylinder", (0.06, 0.035), (-0.067, 0.0, 0.0), (0.707123281, 0.0, 0.707090281, 0.0)
)

# joint: stiffness, damping, force limit
_GAINS = {
    "hip_yaw": (200.0, 5.0, 200.0),
    "hip_roll": (200.0, 5.0, 200.0),
    "hip_pitch": (200.0, 5.0, 200.0),
    "knee": (300.0, 6.0, 300.0),
    "ankle": (40.0, 2.0, 40.0),
    "shoulder_pitch": (100.0, 2.0, 40.0),
    "shoulder_roll": (100.0, 2.0, 40.0),
    "shoulder_yaw": (100.0, 2.0, 18.0),
    "elbow": (100.0, 2.0, 18.0),
}
TORSO_HINGE = Hinge("torso", _Z, (-2.35, 2.35), 1.0, 0.1, 0.0)
TORSO_SERVO = Servo("torso", "torso", 300.0, 6.0, 200.0, TORSO_HINGE.range)

# Points that rewards read, and the body they sit on.
SITES: dict[str, tuple[str, Vector]] = {
    "head": ("torso_link", (0.0, 0.0, 0.7)),
    "imu": ("torso_link", (-0.04452, -0.01891, 0.27756)),
    "left_foot": ("left_ankle_link", (0.0, 0.0, -0.05)),
    "right_foot": ("right_ankle_link", (0.0, 0.0, -0.05)),
    "left_hand": ("left_elbow_link", (0.31, 0.0, -0.01)),
    "right_hand": ("right_elbow_link", (0.31, 0.0, -0.01)),
}


def trunk() -> list[Link]:
    """Pelvis and torso; the pelvis floats."""
    pelvis = Link("pelvis", "world", ORIGIN, UNTURNED, PELVIS, None, (_mesh("pelvis"),))
    torso = Link(
        "torso_link", "pelvis", ORIGIN, UNTURNED, TORSO, TORSO_HINGE, (_mesh("torso_link"),)
    )
    return [pelvis, torso]


def leg(side: str) -> list[Link]:
    """The five links of a leg, from the hip down; ``side`` is "left" or "right"."""
    return [_link(side, name, *numbers) for name, numbers in _LEG.items()]


def arm(side: str) -> list[Link]:
    """The four links of an arm, from the shoulder down; ``side`` is "left" or "right"."""
    return [_link(side, name, *numbers) for name, numbers in _ARM.items()]


def servos(links: list[Link]) -> list[Servo]:
    """The actuators of a leg's or an arm's links, in their order."""
    hinges = [link.hinge for link in links if link.hinge is not None]
    return [Servo(h.name, h.name, *_GAINS[h.name.partition("_")[2]], range=h.range) for h in hinges]


def _link(
    side: str,
    name: str,
    parent: str,
    pos: Vector,
    quat: Quaternion,
    inertia: Inertia,
    axis: Vector,
    limits: tuple[float, float],
) -> Link:
    own = f"{side}_{name}_link"
    above = {"pelvis": "pelvis", "torso": "torso_link"}.get(parent, f"{side}_{parent}_link")
    if side == "right":
        pos, quat = mirrored(pos), mirrored_turn(quat)
        inertia = inertia._replace(com=mirrored(inertia.com), axes=mirrored_turn(inertia.axes))
        # Both sides turn about the same axes, so a mirrored angle has the opposite sign, except
        # about y.
        limits = limits if axis == _Y else (-limits[1], -limits[0])
    shape = {"hip_yaw": _HIP_BARREL, "ankle": FOOT}.get(name, _mesh(own))
    hinge = Hinge(f"{side}_{name}", axis, limits, damping=1.0, armature=0.1, friction=0.0)
    return Link(own, above, pos, quat, inertia, hinge, (shape,))


def _mesh(link: str) -> Shape:
    return Shape("mesh", name=link)
