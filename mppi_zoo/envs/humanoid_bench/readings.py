"""The quantities of a simulation that rewards and terminations read."""

# MuJoCo's compiled modules carry no stubs.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np


class Readings(NamedTuple):
    """One state as a reward sees it; lengths in m, all vectors in the world's frame.

    ``pelvis`` and ``velocities`` belong to the newest state. All else is derived from the state
    that entered the last physics step, one substep (2 ms) earlier, as the original never brings
    the derived quantities up to date; after a reset the two coincide.
    """

    pelvis: np.ndarray  # [3] position of the root
    velocities: np.ndarray  # [nv] of all joints
    head_height: float
    imu: np.ndarray  # [3] position of the inertial sensor, in the chest
    left_foot_height: float
    right_foot_height: float
    left_hand: np.ndarray  # [3]
    torso_up: float  # z of the torso's own z axis: 1 upright, 0 lying
    pelvis_up: float
    pelvis_before: np.ndarray  # [3] position of the pelvis before the last physics step
    pelvis_turn: np.ndarray  # [4] quaternion
    com_velocity: np.ndarray  # [3] of the robot's centre of mass
    forces: np.ndarray  # [61] of the actuators
    chair: np.ndarray  # [3] position of the chair; zeros where there is none
    contacts: list[tuple[str, str]]  # kinds of the two shapes of each contact, "" for the robot


class Sensors:
    """Takes Readings of one model.

    A shape's kind is its geom's name up to the first underscore: "floor", "barrier", "hurdle",
    "block", "pole", "wall", "board", "sphere" and so on; the robot's shapes have no name.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._head, self._imu, self._left_foot, self._right_foot, self._left_hand = (
            model.site(name).id for name in ("head", "imu", "left_foot", "right_foot", "left_hand")
        )
        self._pelvis = model.body("pelvis").id
        self._torso = model.body("torso_link").id
        names = [model.body(i).name for i in range(model.nbody)]
        self._chair = names.index("chair") if "chair" in names else None
        self._kinds = [model.geom(i).name.partition("_")[0] for i in range(model.ngeom)]

    def read(self, data: mujoco.MjData) -> Readings:
        """Copies what rewards need, after ``mj_step`` or ``mj_forward``."""
        # From velocities that the last physics step computed, so it lags as they do.
        mujoco.mj_subtreeVel(self._model, data)
        sites, kinds = data.site_xpos, self._kinds
        return Readings(
            pelvis=data.qpos[:3].copy(),
            velocities=data.qvel.copy(),
            head_height=float(sites[self._head, 2]),
            imu=sites[self._imu].copy(),
            left_foot_height=float(sites[self._left_foot, 2]),
            right_foot_height=float(sites[self._right_foot, 2]),
            left_hand=sites[self._left_hand].copy(),
            torso_up=float(data.xmat[self._torso, 8]),
            pelvis_up=float(data.xmat[self._pelvis, 8]),
            pelvis_before=data.xpos[self._pelvis].copy(),
            pelvis_turn=data.xquat[self._pelvis].copy(),
            com_velocity=data.subtree_linvel[self._pelvis].copy(),
            forces=data.actuator_force.copy(),
            chair=np.zeros(3) if self._chair is None else data.xpos[self._chair].copy(),
            contacts=[(kinds[a], kinds[b]) for a, b in data.contact.geom.tolist()],
        )
