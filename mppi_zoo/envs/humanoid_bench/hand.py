"""Parameters of the Shadow hands: 24 hinges and 20 actuators each.

The hands are mirror images in the plane x = 0 of the wrist's frame; below, ``x`` is 1 for the left
and -1 for the right hand. Comments mark the three parameters that are not mirrored. Source:
measured on the original's compiled model (docs/humanoid_bench.md).
"""

from __future__ import annotations

from typing import NamedTuple

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
)

PREFIX = {"left": "lh_", "right": "rh_"}

_QUARTER_X: Quaternion = (0.707106781, 0.0, 0.0, 0.707106781)
_QUARTER_Y: Quaternion = (0.707106781, 0.0, 0.707106781, 0.0)
_FOREARM_TO_HAND: Quaternion = (0.0, 0.707106781, 0.0, 0.707106781)
_EIGHTH_Y = (0.923879254, 0.382684105)
_YAW_RANGE = (-0.15, 1.57)
_SPREAD = (-0.349066, 0.349066)
_BEND = (-0.261799, 1.5708)
_CURL = (0.0, 1.5708)
_AXIS_X = (1.0, 0.0, 0.0)

_KNUCKLE = Inertia(0.008, ORIGIN, (3.2e-07, 2.6e-07, 2.6e-07), (0.5, 0.5, -0.5, 0.5))
_PROXIMAL = Inertia(0.03, (0.0, 0.0, 0.0225), (1e-05, 9.8e-06, 1.8e-06), _QUARTER_X)
_MIDDLE = Inertia(0.017, (0.0, 0.0, 0.0125), (2.7e-06, 2.6e-06, 8.7e-07), _QUARTER_X)
_DISTAL = Inertia(0.013, (0.0, 0.0, 0.0130769), (1.28092e-06, 1.12092e-06, 5.3e-07), _QUARTER_X)
_METACARPAL = Inertia(0.03, (0.0, 0.0, 0.04), (1.638e-05, 1.45e-05, 4.272e-06), _QUARTER_X)

# Capsules that end where the original's fingertips end, which are meshes that no package contains.
FINGERTIP = Shape("capsule", (0.0075, 0.005), (0.0, 0.0, 0.0195))
THUMB_TIP = Shape("capsule", (0.0075, 0.00625), (0.0, 0.0, 0.02125))


class Finger(NamedTuple):
    """What differs between fingers: the knuckle's place on its parent, its sense of spreading."""

    name: str
    parent: str
    pos: Vector  # of the left hand
    spread: float  # sign of the left hand's spreading axis, along y


FINGERS = (
    Finger("ff", "palm", (-0.033, 0.0, 0.095), 1.0),
    Finger("mf", "palm", (-0.011, 0.0, 0.099), 1.0),
    Finger("rf", "palm", (0.011, 0.0, 0.095), -1.0),
    Finger("lf", "lfmetacarpal", (0.0, 0.0, 0.06579), -1.0),
)

# joint: stiffness, force limit; fingers that are not named have 1 and 1
_GAINS = {
    "WRJ2": (10.0, 10.0),
    "WRJ1": (8.0, 5.0),
    "THJ5": (0.4, 3.0),
    "THJ4": (1.0, 2.0),
    "THJ3": (0.5, 1.0),
    "THJ2": (1.5, 1.0),
}


def hand(side: str) -> list[Link]:
    """The links of a hand, from the wrist's yaw joint out, depth first."""
    x = 1.0 if side == "left" else -1.0
    links = [*_wrist(side, x), _palm(side, x)]
    for finger in FINGERS:
        if finger.name == "lf":
            links.append(_metacarpal(side, x))
        links.extend(_finger(side, x, finger))
    return [*links, *_thumb(side, x)]


def _wrist(side: str, x: float) -> list[Link]:
    mount = Inertia(0.001, (0.0, 0.0, 0.001), (1e-05, 1e-05, 1e-05))
    wrist = Inertia(0.1, (0.0, 0.0, 0.029), (6.4e-05, 4.38e-05, 3.5e-05), (0.5, 0.5, 0.5, 0.5))
    yaw = Hinge(
        f"{side}_wrist_yaw", (0.0, 0.0, x), _YAW_RANGE, damping=1.0, armature=0.1, friction=0.0
    )
    c, s = _EIGHTH_Y
    shapes = (
        Shape("cylinder", (0.011, 0.005), (x * 0.026, 0.0, 0.034), _QUARTER_Y),
        Shape("cylinder", (0.011, 0.005), (x * -0.031, 0.0, 0.034), _QUARTER_Y),
        Shape("box", (0.0135, 0.009, 0.005), (x * 0.021, 0.0, 0.011), (c, 0.0, x * -s, 0.0)),
        Shape("box", (0.0135, 0.009, 0.005), (x * -0.026, 0.0, 0.01), (c, 0.0, x * s, 0.0)),
    )
    own = f"{side}_hand"
    forearm = f"{side}_elbow_link"
    tilt = _hinge(side, "WRJ2", (0.0, -x, 0.0), (-0.523599, 0.174533), damping=0.5)
    return [
        Link(own, forearm, (0.169, 0.0, -0.02912), _FOREARM_TO_HAND, mount, yaw, ()),
        Link(PREFIX[side] + "wrist", own, (0.01, 0.0, 0.15301), _QUARTER_X, wrist, tilt, shapes),
    ]


def _palm(side: str, x: float) -> Link:
    inertia = Inertia(0.3, (0.0, 0.0, 0.035), (0.0005287, 0.0003581, 0.000191), _QUARTER_X)
    # Not mirrored: the tilt of the thumb's saddle about y, and the height of the heel.
    saddle = (0.9872408, 0.0990544799, 0.0124466975, x * -0.124051975)
    heel = 0.0112 if side == "left" else 0.012
    wedge = (0.97133789, 0.0, 0.0, x * 0.237702973)
    shapes = (
        Shape("box", (0.031, 0.0035, 0.049), (x * -0.011, 0.0085, 0.038)),
        Shape("box", (0.018, 0.0085, 0.049), (x * 0.002, -0.0035, 0.038)),
        Shape("box", (0.013, 0.0085, 0.005), (x * -0.029, -0.0035, 0.082)),
        Shape("box", (0.013, 0.007, 0.009), (x * -0.0265, -0.001, 0.07), saddle),
        Shape("box", (0.0105, 0.0135, heel), (x * -0.0315, -0.0085, 0.001)),
        Shape("box", (0.011, 0.0025, 0.015), (x * -0.0125, -0.015, 0.004), wedge),
        Shape("box", (0.009, 0.012, 0.002), (x * -0.011, 0.0, 0.089)),
        Shape("box", (0.01, 0.012, 0.02), (x * 0.03, 0.0, 0.009)),
    )
    bend = _hinge(side, "WRJ1", _AXIS_X, (-0.698132, 0.488692), damping=0.5)
    return _link(side, "palm", "wrist", (0.0, 0.0, 0.034), inertia, bend, shapes)


def _metacarpal(side: str, x: float) -> Link:
    fold = _hinge(side, "LFJ5", (0.573576164, 0.0, x * -0.819152235), (0.0, 0.785398))
    shape = Shape("box", (0.011, 0.012, 0.025), (x * -0.002, 0.0, 0.033))
    return _link(
        side, "lfmetacarpal", "palm", (x * 0.033, 0.0, 0.02071), _METACARPAL, fold, (shape,)
    )


def _finger(side: str, x: float, finger: Finger) -> list[Link]:
    f, joint = finger.name, finger.name.upper() + "J"
    root = (x * finger.pos[0], finger.pos[1], finger.pos[2])
    spread = _hinge(side, joint + "4", (0.0, x * finger.spread, 0.0), _SPREAD)
    bend, curl, tip = (
        _hinge(side, joint + number, _AXIS_X, limits)
        for number, limits in (("3", _BEND), ("2", _CURL), ("1", _CURL))
    )
    barrel = Shape("cylinder", (0.009, 0.009), ORIGIN, _QUARTER_Y)
    long = Shape("capsule", (0.009, 0.02), (0.0, 0.0, 0.025))
    short = Shape("capsule", (0.009, 0.0125), (0.0, 0.0, 0.0125))
    out, further = (0.0, 0.0, 0.045), (0.0, 0.0, 0.025)
    return [
        _link(side, f + "knuckle", finger.parent, root, _KNUCKLE, spread, (barrel,)),
        _link(side, f + "proximal", f + "knuckle", ORIGIN, _PROXIMAL, bend, (long,)),
        _link(side, f + "middle", f + "proximal", out, _MIDDLE, curl, (short,)),
        _link(side, f + "distal", f + "middle", further, _DISTAL, tip, (FINGERTIP,)),
    ]


def _thumb(side: str, x: float) -> list[Link]:
    base = Inertia(0.01, ORIGIN, (1.6e-07, 1.6e-07, 1.6e-07))
    proximal = Inertia(0.04, (0.0, 0.0, 0.019), (1.36e-05, 1.36e-05, 3.13e-06))
    hub = Inertia(0.005, ORIGIN, (1e-06, 1e-06, 3e-07))
    middle = Inertia(0.02, (0.0, 0.0, 0.016), (5.1e-06, 5.1e-06, 1.21e-06))
    distal = Inertia(0.017, (0.0, 0.0, 0.0145588), (2.37794e-06, 2.27794e-06, 1e-06), _QUARTER_X)
    # Not mirrored: the left thumb's frames are turned half round about z, as are its axes.
    left: Quaternion = (0.0, -0.382682898, 0.0, 0.923879754)
    right: Quaternion = (0.923879754, 0.0, 0.382682898, 0.0)
    across = (-x, 0.0, 0.0)
    names = ("thbase", "thproximal", "thhub", "thmiddle", "thdistal")
    parents = ("palm", *names)
    places = (
        (x * -0.034, -0.00858, 0.029),
        ORIGIN,
        (0.0, 0.0, 0.038),
        ORIGIN,
        (0.0, 0.0, 0.032),
    )
    turns = (left if side == "left" else right, UNTURNED, UNTURNED, UNTURNED)
    turns = (*turns, (0.707106781, 0.0, 0.0, -0.707106781))
    hinges = (
        _hinge(side, "THJ5", (0.0, 0.0, x), (-1.0472, 1.0472)),
        _hinge(side, "THJ4", across, (0.0, 1.22173)),
        _hinge(side, "THJ3", across, (-0.20944, 0.20944)),
        _hinge(side, "THJ2", (0.0, -1.0, 0.0), (-0.698132, 0.698132)),
        _hinge(side, "THJ1", _AXIS_X, _BEND),
    )
    shapes = (
        (Shape("sphere", (0.013,)),),
        (Shape("capsule", (0.0105, 0.009), (0.0, 0.0, 0.02)),),
        (Shape("sphere", (0.011,)),),
        (
            Shape("capsule", (0.009, 0.009), (0.0, 0.0, 0.012)),
            Shape("sphere", (0.01,), (0.0, 0.0, 0.03)),
        ),
        (THUMB_TIP,),
    )
    inertias = (base, proximal, hub, middle, distal)
    rows = zip(names, parents, places, turns, inertias, hinges, shapes, strict=False)
    return [Link(PREFIX[side] + name, PREFIX[side] + parent, *rest) for name, parent, *rest in rows]


def wrist_yaw(side: str) -> Servo:
    """The actuator that turns the whole hand; it is counted as the arm's."""
    name = f"{side}_wrist_yaw"
    return Servo(name, name, 100.0, 2.0, 18.0, _YAW_RANGE)


def tendons(side: str) -> dict[str, tuple[str, str]]:
    """The tendon of each finger: its length is the sum of the two outer joints' angles."""
    names = [PREFIX[side] + finger.name.upper() + "J" for finger in FINGERS]
    return {name + "0": (name + "2", name + "1") for name in names}


def servos(side: str, links: list[Link]) -> list[Servo]:
    """The 20 actuators of a hand: wrist, thumb, then finger by finger."""
    limits = {link.hinge.name: link.hinge.range for link in links if link.hinge is not None}
    numbers = {"WR": "21", "TH": "54321", "FF": "430", "MF": "430", "RF": "430", "LF": "5430"}
    found = []
    for group, joints in numbers.items():
        for number in joints:
            joint = f"{group}J{number}"
            target = PREFIX[side] + joint
            stiffness, force = _GAINS.get(joint, (1.0, 1.0))
            name = f"{PREFIX[side]}A_{joint}"
            if number == "0":
                found.append(Servo(name, target, 0.5, 0.0, 1.0, (0.0, 3.1415), tendon=True))
            else:
                found.append(Servo(name, target, stiffness, 0.0, force, limits[target]))
    return found


def excluded_contacts(side: str) -> list[tuple[str, str]]:
    """Pairs of links that may overlap without touching."""
    p = PREFIX[side]
    return [(f"{side}_elbow_link", p + "wrist"), (p + "thproximal", p + "thmiddle")]


def _hinge(
    side: str, joint: str, axis: Vector, limits: tuple[float, float], damping: float = 0.05
) -> Hinge:
    return Hinge(PREFIX[side] + joint, axis, limits, damping, armature=0.0002, friction=0.01)


def _link(
    side: str,
    name: str,
    parent: str,
    pos: Vector,
    inertia: Inertia,
    hinge: Hinge,
    shapes: tuple[Shape, ...],
) -> Link:
    p = PREFIX[side]
    return Link(p + name, p + parent, pos, UNTURNED, inertia, hinge, shapes)
