"""The MuJoCo model of a scene with the robot in it."""

from __future__ import annotations

import functools
from typing import Any

import mujoco
import numpy as np

from mppi_zoo.envs.humanoid_bench.meshes import mesh_folder
from mppi_zoo.envs.humanoid_bench.parts import Shape
from mppi_zoo.envs.humanoid_bench.robot import add_robot, add_shape, set_inertia, stance
from mppi_zoo.envs.humanoid_bench.scenes import Prop, Scene

PHYSICS_STEP = 0.002
SCENE_COLOUR = (0.55, 0.65, 0.8, 1.0)
WALL_COLOUR = (0.55, 0.65, 0.8, 0.2)
MOVABLE_COLOUR = (0.8, 0.6, 0.4, 1.0)
MARK_COLOUR = (0.3, 0.7, 0.3, 0.6)
GOAL_COLOUR = (0.8, 0.28, 0.28, 1.0)
GOAL = "goal"


@functools.lru_cache(maxsize=None)
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
    _add_floor(spec)
    add_robot(spec, mesh_folder())
    _add_light(spec)
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
    visual: Any = spec.visual
    visual.headlight.ambient = (0.35, 0.35, 0.35)
    visual.headlight.diffuse = (0.5, 0.5, 0.5)
    visual.quality.shadowsize = 4096
    # The largest image that can be rendered.
    visual.global_.offwidth, visual.global_.offheight = 1920, 1080
    # In units of the extent, which is the robot's and not that of a 100 m track.
    spec.stat.extent = 3.0
    visual.map.znear, visual.map.zfar, visual.map.shadowclip = 0.01, 50.0, 4.0


def _add_floor(spec: mujoco.MjSpec) -> None:
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=(0.95, 0.97, 1.0),
        rgb2=(0.75, 0.82, 0.9),
        width=64,
        height=384,
    )
    spec.add_texture(
        name="tiles",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=(0.86, 0.86, 0.84),
        rgb2=(0.78, 0.78, 0.76),
        width=64,
        height=64,
    )
    material = spec.add_material(name="floor", texuniform=True, texrepeat=(0.5, 0.5))
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "tiles"
    # Rendered as far as one sees, since some tracks are 100 m long.
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=(0.0, 0.0, 1.0),
        material="floor",
    )


def _add_light(spec: mujoco.MjSpec) -> None:
    # It goes with the robot, as its shadow's map is sharp only nearby.
    spec.body("pelvis").add_light(
        pos=(0.0, 0.0, 4.0),
        dir=(0.3, 0.2, -1.0),
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        mode=mujoco.mjtCamLight.mjCAMLIGHT_TRACK,
        diffuse=(0.4, 0.4, 0.4),
    )


def _add_prop(spec: mujoco.MjSpec, prop: Prop) -> None:
    body = spec.worldbody.add_body(name=prop.name, pos=prop.pos)
    if prop.inertia is not None:
        set_inertia(body, prop.inertia)
        body.add_freejoint(name=f"free_{prop.name}")
    for shape in prop.shapes:
        colour = SCENE_COLOUR if prop.inertia is None else MOVABLE_COLOUR
        if shape.name.startswith(("wall_", "barrier_")):
            colour = WALL_COLOUR  # one looks through them at the robot
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
