"""How the scenes look; nothing here affects the physics."""

# MuJoCo's compiled modules carry no stubs.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from typing import Any

import mujoco

BODY_COLOUR = (0.35, 0.37, 0.42, 1.0)
HAND_COLOUR = (0.75, 0.75, 0.72, 1.0)
SCENE_COLOUR = (0.55, 0.65, 0.8, 1.0)
WALL_COLOUR = (0.55, 0.65, 0.8, 0.2)  # one looks through them at the robot
MOVABLE_COLOUR = (0.8, 0.6, 0.4, 1.0)
MARK_COLOUR = (0.3, 0.7, 0.3, 0.6)
GOAL_COLOUR = (0.8, 0.28, 0.28, 1.0)
FLOOR_MATERIAL = "floor"


def set_visuals(spec: mujoco.MjSpec) -> None:
    """Sky, floor material, ambient light, and how far one sees."""
    visual: Any = spec.visual
    visual.headlight.ambient = (0.35, 0.35, 0.35)
    visual.headlight.diffuse = (0.5, 0.5, 0.5)
    visual.quality.shadowsize = 4096
    # The largest image that can be rendered.
    visual.global_.offwidth, visual.global_.offheight = 1920, 1080
    # In units of the model's extent, which is that of the robot, not of a 100 m track.
    spec.stat.extent = 3.0
    visual.map.znear, visual.map.zfar, visual.map.shadowclip = 0.01, 50.0, 4.0
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
    material = spec.add_material(name=FLOOR_MATERIAL, texuniform=True, texrepeat=(0.5, 0.5))
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "tiles"


def add_light(body: Any) -> None:
    """A lamp that goes with a MjsBody, as its shadows are sharp only nearby."""
    body.add_light(
        pos=(0.0, 0.0, 4.0),
        dir=(0.3, 0.2, -1.0),
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        mode=mujoco.mjtCamLight.mjCAMLIGHT_TRACK,
        diffuse=(0.4, 0.4, 0.4),
    )
