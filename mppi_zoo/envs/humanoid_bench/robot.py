"""The robot h1hand as a MuJoCo specification: H1 with two Shadow hands, 61 position actuators."""

# MuJoCo's compiled modules carry no stubs.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from mppi_zoo.envs.humanoid_bench import body, hand
from mppi_zoo.envs.humanoid_bench.appearance import BODY_COLOUR, HAND_COLOUR
from mppi_zoo.envs.humanoid_bench.parts import Hinge, Inertia, Link, Servo, Shape

# Bent legs; every other joint starts at 0.
STANCE = {"hip_pitch": -0.4, "knee": 0.8, "ankle": -0.4}

# The contact softness of body and scene is MuJoCo's default.
HAND_SOLREF = (0.005, 1.0)
HAND_SOLIMP = (0.5, 0.99, 0.0001, 0.5, 2.0)

_KINDS = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
}


def add_robot(spec: mujoco.MjSpec, meshes: Path) -> None:
    """Adds bodies, joints, shapes, sites, tendons and actuators to ``spec``.

    Args:
        spec: receives the robot; its free joint becomes the model's next one.
        meshes: folder with one STL file for each link named as mesh.
    """
    arms = {side: body.arm(side) for side in ("left", "right")}
    hands = {side: hand.hand(side) for side in ("left", "right")}
    legs = {side: body.leg(side) for side in ("left", "right")}
    pelvis, torso = body.trunk()
    bodies: dict[str, Any] = {"world": spec.worldbody}
    for link in (pelvis, *legs["left"], *legs["right"], torso):
        _add_link(spec, bodies, link, meshes, in_hand=False)
    for side in ("left", "right"):
        for link in arms[side]:
            _add_link(spec, bodies, link, meshes, in_hand=False)
        for link in hands[side]:
            _add_link(spec, bodies, link, meshes, in_hand=True)
        for name, joints in hand.tendons(side).items():
            tendon = spec.add_tendon(name=name)
            for joint in joints:
                tendon.wrap_joint(joint, 1.0)
        for first, second in hand.excluded_contacts(side):
            spec.add_exclude(bodyname1=first, bodyname2=second)
    for name, (where, pos) in body.SITES.items():
        bodies[where].add_site(name=name, pos=pos, size=(0.001,) * 3, group=4)
    for servo in (
        *body.servos(legs["left"]),
        *body.servos(legs["right"]),
        body.TORSO_SERVO,
        *body.servos(arms["left"]),
        hand.wrist_yaw("left"),
        *body.servos(arms["right"]),
        hand.wrist_yaw("right"),
        *hand.servos("left", hands["left"]),
        *hand.servos("right", hands["right"]),
    ):
        _add_servo(spec, servo)


def set_inertia(target: Any, inertia: Inertia) -> None:
    """Gives a MjsBody its stated inertia."""
    target.mass = inertia.mass
    target.ipos = inertia.com
    target.iquat = unit(inertia.axes)
    target.inertia = inertia.moments
    target.explicitinertial = True


def add_shape(target: Any, shape: Shape, **extra: Any) -> Any:
    """Adds a primitive to a MjsBody; MuJoCo's own friction, condim and margin apply."""
    size = np.zeros(3)
    size[: len(shape.size)] = shape.size
    # Density 0: the inertias are given, and must not be computed from the shapes.
    return target.add_geom(
        name=shape.name,
        type=_KINDS[shape.kind],
        size=size,
        pos=shape.pos,
        quat=unit(shape.quat),
        density=0.0,
        **extra,
    )


def unit(quat: tuple[float, float, float, float]) -> np.ndarray:
    """A quaternion [4], normalised: the numbers in these files have nine digits."""
    array = np.array(quat)
    return array / np.linalg.norm(array)


def stance() -> dict[str, float]:
    """Angles of the joints that do not start at 0."""
    return {f"{side}_{joint}": q for side in ("left", "right") for joint, q in STANCE.items()}


def _add_link(
    spec: mujoco.MjSpec, bodies: dict[str, Any], link: Link, meshes: Path, in_hand: bool
) -> None:
    added = bodies[link.parent].add_body(name=link.name, pos=link.pos, quat=unit(link.quat))
    bodies[link.name] = added
    set_inertia(added, link.inertia)
    if link.hinge is None:
        added.add_freejoint(name="free_base")
    else:
        _add_hinge(added, link.hinge)
    look: dict[str, Any] = {"rgba": HAND_COLOUR if in_hand else BODY_COLOUR}
    if in_hand:
        look.update(solref=HAND_SOLREF, solimp=HAND_SOLIMP)
    for shape in link.shapes:
        if shape.kind == "mesh":
            _add_mesh(spec, added, shape.name, meshes, look)
        else:
            add_shape(added, shape, **look)


def _add_mesh(
    spec: mujoco.MjSpec, target: Any, link: str, meshes: Path, look: dict[str, Any]
) -> None:
    spec.add_mesh(name=link, file=str(meshes / f"{link}.STL"))
    target.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=link, density=0.0, **look)


def _add_hinge(target: Any, hinge: Hinge) -> None:
    joint = target.add_joint(
        name=hinge.name,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=hinge.axis,
        range=hinge.range,
        limited=mujoco.mjtLimited.mjLIMITED_TRUE,
        armature=hinge.armature,
        frictionloss=hinge.friction,
    )
    # A number in older MuJoCo, polynomial coefficients in newer.
    joint.damping = np.append(hinge.damping, np.zeros(np.size(joint.damping) - 1)).reshape(
        np.shape(joint.damping)
    )


def _add_servo(spec: mujoco.MjSpec, servo: Servo) -> None:
    transmission = mujoco.mjtTrn.mjTRN_TENDON if servo.tendon else mujoco.mjtTrn.mjTRN_JOINT
    actuator = spec.add_actuator(
        name=servo.name,
        target=servo.target,
        trntype=transmission,
        gaintype=mujoco.mjtGain.mjGAIN_FIXED,
        biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        ctrlrange=servo.range,
        ctrllimited=mujoco.mjtLimited.mjLIMITED_TRUE,
        forcerange=(-servo.force, servo.force),
        forcelimited=mujoco.mjtLimited.mjLIMITED_TRUE,
    )
    actuator.gainprm[0] = servo.stiffness
    actuator.biasprm[1:3] = (-servo.stiffness, -servo.damping)
