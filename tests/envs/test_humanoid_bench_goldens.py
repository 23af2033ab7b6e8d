"""HumanoidBench's native tasks against numbers recorded from the original program."""

# MuJoCo's compiled modules carry no stubs.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from mppi_zoo.envs.humanoid_bench.env import HumanoidBenchEnv
from mppi_zoo.envs.humanoid_bench.outcome import Memory
from mppi_zoo.envs.humanoid_bench.tasks import TASKS

exact = functools.partial(np.testing.assert_allclose, rtol=0.0, atol=1e-9)
# Nine digits of each figure were recorded.
same = functools.partial(np.testing.assert_allclose, rtol=0.0, atol=2e-9)


def put(env: HumanoidBenchEnv, states: Any, i: int) -> None:
    """Places the simulation in recorded state ``i``, derived quantities up to date."""
    mujoco.mj_resetData(env.model, env.data)
    env.data.qpos[:] = states["qpos"][i]
    env.data.qvel[:] = states["qvel"][i]
    env.data.ctrl[:] = states["ctrl"][i]
    mujoco.mj_forward(env.model, env.data)
    if "goal" in states:
        x, y, z = states["goal"][i].tolist()
        env._memory = Memory(goal=(x, y, z))
    if "maze_stage_before" in states:
        dx, dy, _ = states["maze_dir_before"][i].tolist()
        env._memory = Memory(int(states["maze_stage_before"][i]), (dx, dy))


@pytest.mark.parametrize("task", TASKS)
def test_recorded_states(humanoid_goldens: Path, task: str) -> None:
    states = dict(np.load(humanoid_goldens / f"{task}_states.npz"))
    env = HumanoidBenchEnv(task)
    factors = {name[5:] for name in states if name.startswith("info_")}
    for i in range(len(states["reward"])):
        put(env, states, i)
        obs, reward, terminated, info = env.evaluate()
        where = f"{task}, state {i}"
        expected = np.concatenate([states["qpos"][i], states["qvel"][i], states["obs_tail"][i]])
        exact(obs, expected, err_msg=where)
        exact(reward, states["reward"][i], err_msg=where)
        assert terminated == states["terminated"][i], where
        assert set(info) == factors | {"per_timestep_reward"}
        for name in factors:
            exact(info[name], states[f"info_{name}"][i], err_msg=f"{where}, {name}")
        if task == "maze":
            assert env._memory.stage == states["maze_stage_after"][i], where
            assert list(env._memory.direction) == states["maze_dir_after"][i][:2].tolist(), where


def airborne_model() -> mujoco.MjModel:
    model = copy.copy(HumanoidBenchEnv("walk").model)
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    return model


@pytest.mark.parametrize("rollout", range(3))
def test_contact_free_dynamics(humanoid_goldens: Path, rollout: int) -> None:
    recorded = np.load(humanoid_goldens / "robot_airborne.npz")
    model = airborne_model()
    data = mujoco.MjData(model)

    def start() -> None:
        mujoco.mj_resetData(model, data)
        data.qpos[:] = recorded["init_qpos"][rollout]
        data.qvel[:] = recorded["init_qvel"][rollout]
        data.ctrl[:] = recorded["ctrl"][rollout, 0]

    def agrees(value: np.ndarray, name: str) -> None:
        expected = recorded[name][rollout]
        error = np.abs(value - expected).max() / np.abs(expected).max()
        assert error < 1e-9, (name, error)

    start()
    mujoco.mj_forward(model, data)
    # The mass matrix by its products: its accessor's signature differs between MuJoCo versions.
    inertia = np.empty((model.nv, model.nv))
    for column, unit in zip(inertia, np.eye(model.nv), strict=True):
        mujoco.mj_mulM(model, data, column, unit)
    agrees(inertia, "qM0")
    agrees(data.qfrc_bias, "bias0")
    agrees(data.actuator_force, "force0")
    agrees(data.qacc, "qacc0")
    for substep in range(10):
        mujoco.mj_step(model, data)
        exact(data.qpos, recorded["sub_qpos"][rollout, substep])
    start()
    for step in range(10):
        data.ctrl[:] = recorded["ctrl"][rollout, step]
        mujoco.mj_step(model, data, 10)
        np.testing.assert_allclose(
            data.qpos, recorded["qpos"][rollout, step], rtol=0.0, atol=1e-4, err_msg=str(step)
        )


@pytest.fixture(scope="module")
def figures(humanoid_figures: Path) -> dict[str, Any]:
    return json.loads(humanoid_figures.read_text())


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return HumanoidBenchEnv("walk").model


def unit(quat: list[float]) -> np.ndarray:
    return np.array(quat) / np.linalg.norm(quat)


def same_turn(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(min(np.abs(a - b).max(), np.abs(a + b).max()) < 2e-9)


def tensor(moments: np.ndarray, quat: np.ndarray) -> np.ndarray:
    turn = np.empty(9)
    mujoco.mju_quat2Mat(turn, quat)
    axes = turn.reshape(3, 3)
    return axes @ np.diag(moments) @ axes.T


def test_bodies(figures: dict[str, Any], model: mujoco.MjModel) -> None:
    names = [model.body(i).name for i in range(1, model.nbody)]
    assert names == [body["name"] for body in figures["bodies"]]
    for body in figures["bodies"]:
        i = model.body(body["name"]).id
        assert model.body(model.body_parentid[i]).name == body["parent"]
        if body["name"] != "pelvis":
            same(model.body_pos[i], body["pos"])
            assert same_turn(model.body_quat[i], unit(body["quat"])), body["name"]
        same(model.body_mass[i], body["mass"])
        same(model.body_ipos[i], body["ipos"])
        # Principal axes of mirrored links are named in another order, with the same tensor.
        same(
            tensor(model.body_inertia[i], model.body_iquat[i]),
            tensor(np.array(body["inertia"]), unit(body["iquat"])),
        )
    assert model.body_mass.sum() == pytest.approx(figures["total_mass"], abs=1e-9)


def test_joints(figures: dict[str, Any], model: mujoco.MjModel) -> None:
    assert model.njnt == len(figures["joints"])
    for i, joint in enumerate(figures["joints"]):
        own, dof = model.joint(i), model.jnt_dofadr[i]
        assert (own.name, own.qposadr[0]) == (joint["name"], joint["qposadr"])
        assert model.body(model.jnt_bodyid[i]).name == joint["body"]
        assert bool(model.jnt_limited[i]) == joint["limited"]
        if joint["type"] == "hinge":
            same(model.jnt_axis[i], joint["axis"])
        same(model.jnt_range[i], joint["range"])
        for field in ("damping", "armature", "frictionloss"):
            value = np.ravel(getattr(model, f"dof_{field}")[dof])[0]
            assert value == pytest.approx(joint[field], abs=1e-12), (joint["name"], field)
    same(model.key_qpos[0], figures["keyframe_qpos"])


def test_actuators(figures: dict[str, Any], model: mujoco.MjModel) -> None:
    assert model.nu == len(figures["actuators"]) == 61
    kinds = {"joint": mujoco.mjtTrn.mjTRN_JOINT, "tendon": mujoco.mjtTrn.mjTRN_TENDON}
    for i, actuator in enumerate(figures["actuators"]):
        assert model.actuator(i).name == actuator["name"]
        assert model.actuator_trntype[i] == kinds[actuator["transmission"]]
        target = model.actuator_trnid[i, 0]
        owner = model.joint if actuator["transmission"] == "joint" else model.tendon
        assert owner(target).name == actuator["target"]
        kp, kv = actuator["kp"], actuator["kv"]
        same(model.actuator_gainprm[i, :3], [kp, 0, 0])
        same(model.actuator_biasprm[i, :3], [0, -kp, -kv])
        same(model.actuator_ctrlrange[i], actuator["ctrlrange"])
        same(model.actuator_forcerange[i], actuator["forcerange"])
    assert model.actuator_ctrllimited.all() and model.actuator_forcelimited.all()
    wraps = iter(range(model.nwrap))
    for i, tendon in enumerate(figures["tendons"]):
        assert model.tendon(i).name == tendon["name"]
        for joint, coefficient in tendon["terms"]:
            wrap = next(wraps)
            assert model.joint(model.wrap_objid[wrap]).name == joint
            assert model.wrap_prm[wrap] == coefficient


KINDS = {
    "plane": mujoco.mjtGeom.mjGEOM_PLANE,
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "mesh": mujoco.mjtGeom.mjGEOM_MESH,
}
SIZES = {"box": 3, "capsule": 2, "cylinder": 2, "sphere": 1}
# Shapes of our own, in place of meshes that no package carries.
OWN = ("ankle_link", "distal")


def test_collision_shapes(figures: dict[str, Any], model: mujoco.MjModel) -> None:
    assert model.ngeom == len(figures["collision_geoms"]) == 91
    for i, geom in enumerate(figures["collision_geoms"]):
        own = model.geom(i)
        assert model.body(model.geom_bodyid[i]).name == geom["body"]
        same(own.solref, geom["solref"])
        same(own.solimp, geom["solimp"])
        same(own.friction, [1.0, 0.005, 0.0001])
        assert (own.contype[0], own.conaffinity[0], own.condim[0]) == (1, 1, 3)
        assert (own.margin[0], own.gap[0]) == (0.0, 0.0)
        if geom["body"].endswith(OWN):
            low, high = extent(model, i)
            # No larger than the original's, and its reach, which is what touches, is the same.
            assert (low > np.array(geom["bbox_min"]) - 2e-3).all()
            assert (high < np.array(geom["bbox_max"]) + 2e-3).all()
            sole = geom["body"].endswith("ankle_link")
            reached, bound = (low[2], "bbox_min") if sole else (high[2], "bbox_max")
            assert reached == pytest.approx(geom[bound][2], abs=1e-4)
            continue
        assert own.type[0] == KINDS[geom["type"]]
        if geom["type"] == "mesh":
            low, high = mesh_bounds(model, i)
            np.testing.assert_allclose(low, geom["bbox_min"], atol=1e-5)
            np.testing.assert_allclose(high, geom["bbox_max"], atol=1e-5)
        elif geom["type"] != "plane":
            n = SIZES[geom["type"]]
            same(own.size[:n], geom["size"][:n])
            same(own.pos, geom["pos"])
            assert same_turn(own.quat, unit(geom["quat"])), (i, geom["body"])
    pairs = {
        tuple(sorted(model.body(b).name for b in divmod(int(signature), 1 << 16)))
        for signature in model.exclude_signature
    }
    assert pairs == {tuple(sorted(pair)) for pair in figures["contact_excludes"]}


def extent(model: mujoco.MjModel, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of an unturned box or capsule in its body's frame."""
    size, pos = model.geom_size[i], model.geom_pos[i]
    if model.geom_type[i] == mujoco.mjtGeom.mjGEOM_CAPSULE:
        size = np.array([size[0], size[0], size[0] + size[1]])
    return pos - size, pos + size


def mesh_bounds(model: mujoco.MjModel, i: int) -> tuple[np.ndarray, np.ndarray]:
    mesh = model.geom_dataid[i]
    start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    turn = np.empty(9)
    mujoco.mju_quat2Mat(turn, model.geom_quat[i])
    vertices = model.mesh_vert[start : start + count] @ turn.reshape(3, 3).T + model.geom_pos[i]
    return vertices.min(axis=0), vertices.max(axis=0)


def test_reference_points(figures: dict[str, Any], model: mujoco.MjModel) -> None:
    recorded = {site["name"]: site for site in figures["sites"]}
    for name in ("head", "imu", "left_foot", "right_foot", "left_hand", "right_hand"):
        site = model.site(name)
        assert model.body(model.site_bodyid[site.id]).name == recorded[name]["body"]
        same(site.pos, recorded[name]["pos"])
