"""The MuJoCo model of a scene with the robot in it."""

# MuJoCo's compiled modules carry no stubs.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import functools
from typing import Any

import mujoco
import numpy as np

from mppi_zoo.envs.humanoid_bench.appearance import (
    FLOOR_MATERIAL,
    GOAL_COLOUR,
    MARK_COLOUR,
    MOVABLE_COLOUR,
    SCENE_COLOUR,
    WALL_COLOUR,
    add_light,
    set_visuals,
)
from mppi_zoo.envs.humanoid_bench.meshes import mesh_folder
from mppi_zoo.envs.humanoid_bench.parts import Shape
from mppi_zoo.envs.humanoid_bench.robot import add_robot, add_shape, set_inertia, stance
from mppi_zoo.envs.humanoid_bench.scenes import Prop, Scene

PHYSICS_STEP = 0.002
GOAL = "goal"


@functools.cache
def build_model(scene: Scene, goal: bool = False) -> mujoco.MjModel:
    """The compiled model, with its start as keyframe 0.

    One model serves every environment of a process, so it must not be changed. The floor is geom
    0; the robot's joints come first, then those of the free props in their order.

    Args:
        scene: what surrounds the robot.
        goal: add a ball without contacts, the mocap body "goal".

    Raises:
        ImportError: the meshes are not installed.
    """
    spec = mujoco.MjSpec()
    _set_options(spec)
    set_visuals(spec)
    _add_floor(spec)
    add_robot(spec, mesh_folder())
    add_light(spec.body("pelvis"))
    for prop in scene.props:
        _add_prop(spec, prop)
    for i, mark in enumerate(scene.marks):
        spec.worldbody.add_site(
            name=f"mark_{i}",
            pos=mark,
            size=(0.4, 0.005, 0.0),
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            rgba=MARK_COLOUR,
        )
    if goal:
        ball = spec.worldbody.add_body(name=GOAL, mocap=True)
        ball.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=(0.05, 0.0, 0.0),
            rgba=GOAL_COLOUR,
            contype=0,
            conaffinity=0,
            density=0.0,
        )
    model = spec.compile()
    return _with_keyframe(spec, model, scene)


def _set_options(spec: mujoco.MjSpec) -> None:
    spec.modelname = "h1hand"
    spec.compiler.degree = False
    spec.compiler.inertiafromgeom = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_FALSE
    spec.option.timestep = PHYSICS_STEP
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_EULER
    spec.option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    spec.option.iterations = 100
    spec.option.ls_iterations = 50
    spec.option.tolerance = 1e-8
    spec.option.impratio = 1.0
    spec.option.gravity = (0.0, 0.0, -9.81)


def _add_floor(spec: mujoco.MjSpec) -> None:
    # Rendered as far as one sees, since some tracks are 100 m long.
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=(0.0, 0.0, 1.0),
        material=FLOOR_MATERIAL,
    )


def _add_prop(spec: mujoco.MjSpec, prop: Prop) -> None:
    body = spec.worldbody.add_body(name=prop.name, pos=prop.pos)
    if prop.inertia is not None:
        set_inertia(body, prop.inertia)
        body.add_freejoint(name=f"free_{prop.name}")
    for shape in prop.shapes:
        colour = SCENE_COLOUR if prop.inertia is None else MOVABLE_COLOUR
        if shape.name.startswith(("wall_", "barrier_")):
            colour = WALL_COLOUR
        if shape.kind == "prism":
            _add_prism(spec, body, shape, colour)
        else:
            add_shape(body, shape, rgba=colour)


def _add_prism(spec: mujoco.MjSpec, body: Any, shape: Shape, colour: tuple[float, ...]) -> None:
    length, width, height = shape.size
    name = f"prism_{length}_{width}_{height}"
    if name not in [mesh.name for mesh in spec.meshes]:
        ridge = ((-length, 0.0), (0.0, height), (length, 0.0))
        vertices = [(x, y, z) for x, z in ridge for y in (-width, width)]
        spec.add_mesh(name=name, uservert=np.array(vertices).ravel())
    body.add_geom(
        name=shape.name,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        pos=shape.pos,
        density=0.0,
        rgba=colour,
    )


def _with_keyframe(spec: mujoco.MjSpec, model: mujoco.MjModel, scene: Scene) -> mujoco.MjModel:
    # A second compilation, as the length and order of qpos are known only after the first.
    qpos = model.qpos0.copy()
    qpos[:3] = scene.start
    for joint, angle in stance().items():
        qpos[model.joint(joint).qposadr[0]] = angle
    spec.add_key(name="start", qpos=qpos)
    return spec.compile()
