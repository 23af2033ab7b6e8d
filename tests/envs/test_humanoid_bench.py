"""HumanoidBench's native tasks: scenes, stepping, resets, saved states, registration, errors."""

# MuJoCo's compiled modules carry no stubs.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import copy
import os
import subprocess
import sys
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from mppi_zoo import envs
from mppi_zoo.envs import rendering
from mppi_zoo.envs.humanoid_bench import meshes, model, registration, rewards
from mppi_zoo.envs.humanoid_bench.env import HumanoidBenchEnv
from mppi_zoo.envs.humanoid_bench.maze import CHECKPOINTS, maze
from mppi_zoo.envs.humanoid_bench.outcome import Memory
from mppi_zoo.envs.humanoid_bench.readings import Readings, Sensors
from mppi_zoo.envs.humanoid_bench.tasks import TASKS, off_balance

STATE = mujoco.mjtState.mjSTATE_INTEGRATION

OBS_DIMS = {"sit_hard": 164, "balance_simple": 164, "balance_hard": 177, "reach": 157}
BARS = {"stand": 800, "sit_simple": 750, "sit_hard": 750, "maze": 1200, "reach": 12000}
BARS.update(balance_simple=800, balance_hard=800)


def actions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 61)).astype(np.float32)


# Scenes: the original's, measured, written down a second time.

BOX, CYLINDER, SPHERE = "box", "cylinder", "sphere"
MAZE = "####### #.....# ###.#.# #.....# #.#.### #.....# #######".split()
CHAIR = [
    (BOX, (-0.48, 0, 0.65), (0.02, 0.21, 0.2)),
    (BOX, (-0.25, 0, 0.2375), (0.21, 0.21, 0.2375)),
]
BALANCE = [(BOX, (0, 0, 0.37), (0.15, 0.55, 0.03)), (SPHERE, (0, 0, 0.17), (0.17,))]
SCENES: dict[str, list[Any]] = {
    "stand": [],
    "walk": [],
    "run": [],
    "reach": [],
    "hurdle": [(BOX, (7 * i, 0, 0.1875), (0.03, 5, 0.1875)) for i in range(1, 11)]
    + [(BOX, (35, y, 1), (35.5, 0.275, 1)) for y in (-4.725, 4.725)]
    + [(BOX, (-0.525, 0, 1), (0.05, 5, 1))],
    "crawl": [(BOX, (10.2, y, 0.775), (8, 0.2, 0.775)) for y in (1.35, -1.35)]
    + [(BOX, (10.2, 0, 1.35), (8, 1.15, 0.2))],
    "maze": [
        (BOX, (-1.5 + 1.5 * c, 7.5 - 1.5 * r, 0.6), (0.75, 0.75, 0.6))
        for r in range(7)
        for c in range(7)
        if MAZE[r][c] == "#"
    ],
    "stair": [
        (BOX, (3.2 + 6 * k, 0, 0.09 + 0.18 * j), (2.7 - 0.6 * j, 5, 0.09))
        for k in range(4)
        for j in range(5)
    ]
    + [(BOX, (13.5, y, 2), (15.5, 0.1, 2)) for y in (5.05, -5.05)]
    + [(BOX, (-2.1, 0, 2), (0.1, 7.25, 2))],
    "slide": [(BOX, (48.85, y, 4), (53, 0.15, 4)) for y in (5.15, -5.15)]
    + [(BOX, (-4, 0, 4), (0.15, 5.15, 4))],  # and nine ridges, see below
    "pole": [
        (CYLINDER, (x, y, 1), (0.05, 1))
        for x in range(1, 42)
        for y in ((-2.25, -0.75, 0.75, 2.25) if x % 2 == 1 else (-1.5, 0, 1.5))
    ]
    + [(BOX, (20, y, 1), (20.75, 0.15, 1)) for y in (3.15, -3.15)]
    + [(BOX, (-0.6, 0, 1), (0.15, 3, 1))],
    "sit_simple": CHAIR,
    "sit_hard": CHAIR,
    "balance_simple": BALANCE,
    "balance_hard": BALANCE,
}
TYPES = {
    BOX: (mujoco.mjtGeom.mjGEOM_BOX, 3),
    CYLINDER: (mujoco.mjtGeom.mjGEOM_CYLINDER, 2),
    SPHERE: (mujoco.mjtGeom.mjGEOM_SPHERE, 1),
}


def at_keyframe(env: HumanoidBenchEnv) -> mujoco.MjData:
    data = mujoco.MjData(env.model)
    mujoco.mj_resetDataKeyframe(env.model, data, 0)
    mujoco.mj_forward(env.model, data)
    return data


@pytest.mark.parametrize("task", TASKS)
def test_scene_geometry(task: str) -> None:
    env = HumanoidBenchEnv(task)
    data, own = at_keyframe(env), env.model
    assert own.geom(0).name == "floor" and own.geom_type[0] == mujoco.mjtGeom.mjGEOM_PLANE
    assert not data.geom_xpos[0].any()
    named = [i for i in range(1, own.ngeom) if own.geom(i).name]
    found, ridges = [], []
    for i in named:
        assert (own.geom_contype[i], own.geom_conaffinity[i], own.geom_condim[i]) == (1, 1, 3)
        np.testing.assert_allclose(own.geom_friction[i], [1, 0.005, 0.0001])
        np.testing.assert_allclose(own.geom_solref[i], [0.02, 1])
        np.testing.assert_allclose(own.geom_solimp[i], [0.9, 0.95, 0.001, 0.5, 2])
        if own.geom_type[i] == mujoco.mjtGeom.mjGEOM_MESH:
            ridges.append(i)
            continue
        np.testing.assert_allclose(data.geom_xmat[i], np.eye(3).ravel(), atol=1e-12)
        size = own.geom_size[i]
        found.append(np.round(np.array([own.geom_type[i], *data.geom_xpos[i], *size]), 9).tolist())
    expected = []
    for kind, pos, size in SCENES[task]:
        number, count = TYPES[kind]
        padded = [*size, *(0.0,) * (3 - count)]
        expected.append(np.round(np.array([int(number), *pos, *padded]), 9).tolist())
    assert sorted(found) == sorted(expected)
    assert len(ridges) == (9 if task == "slide" else 0)
    for k, i in enumerate(ridges):
        np.testing.assert_allclose(
            sorted(vertices(own, data, i).tolist()),
            sorted(
                [x + 10 * k, y, z] for x, z in ((0.3, 0), (5.3, 1.75), (10.3, 0)) for y in (-5, 5)
            ),
            atol=1e-5,
        )


def vertices(own: mujoco.MjModel, data: mujoco.MjData, i: int) -> np.ndarray:
    mesh = own.geom_dataid[i]
    start, count = own.mesh_vertadr[mesh], own.mesh_vertnum[mesh]
    points = own.mesh_vert[start : start + count] @ data.geom_xmat[i].reshape(3, 3).T
    return np.unique(np.round(points + data.geom_xpos[i], 6), axis=0)


@pytest.mark.parametrize(
    ("task", "body", "mass", "com", "moments"),
    [
        (
            "sit_hard",
            "chair",
            15.748,
            (-0.05912116, 0, 0.47966472),
            (1.02448531, 0.92528903, 0.54639759),
        ),
        ("balance_hard", "board", 19.8, (0, 0, 0), (2.00244, 0.15444, 2.145)),
        ("balance_simple", "board", 19.8, (0, 0, 0), (2.00244, 0.15444, 2.145)),
        ("balance_hard", "sphere", 20.5795263, (0, 0, 0), (0.23789932,) * 3),
    ],
)
def test_free_props(task: str, body: str, mass: float, com: Any, moments: Any) -> None:
    own = HumanoidBenchEnv(task).model
    i = own.body(body).id
    assert own.jnt_type[own.body_jntadr[i]] == mujoco.mjtJoint.mjJNT_FREE
    np.testing.assert_allclose(own.body_mass[i], mass)
    np.testing.assert_allclose(own.body_ipos[i], com)
    np.testing.assert_allclose(own.body_inertia[i], moments)


@pytest.mark.parametrize("task", TASKS)
def test_sizes_and_settings(task: str) -> None:
    env: Any = envs.make(f"hb:h1hand-{task}")
    spec = envs.spec_of(env)
    obs_dim, episodic = OBS_DIMS.get(task, 151), task not in ("crawl", "reach")
    assert (spec.obs_dim, spec.action_dim) == (obs_dim, 61)
    assert (spec.episode_length, spec.episodic) == (1000, episodic)
    inner = env.unwrapped
    assert inner.success_bar == BARS.get(task, 700)
    option = inner.model.opt
    assert (option.timestep, option.iterations, option.ls_iterations) == (0.002, 100, 50)
    assert (option.tolerance, option.impratio) == (1e-8, 1.0)
    assert option.solver == mujoco.mjtSolver.mjSOL_NEWTON
    assert option.cone == mujoco.mjtCone.mjCONE_PYRAMIDAL
    assert option.integrator == mujoco.mjtIntegrator.mjINT_EULER
    assert option.disableflags == 0 and option.gravity.tolist() == [0, 0, -9.81]
    start = (-0.1, 0, 1.38) if task.startswith("balance") else (0, 0, 0.98)
    np.testing.assert_allclose(inner.model.key_qpos[0][:7], [*start, 1, 0, 0, 0])


# Stepping


def test_one_substep_lag_and_float32_controls() -> None:
    env = HumanoidBenchEnv("sit_hard")
    env.reset(seed=3)
    for action in actions(4):
        before = np.empty(mujoco.mj_stateSize(env.model, STATE))
        mujoco.mj_getState(env.model, env.data, before, STATE)
        obs, reward, *_ = env.step(action)

        low, high = env.model.actuator_ctrlrange.astype(np.float32).T
        control = (action + np.float32(1)) / np.float32(2) * (high - low) + low
        assert control.dtype == np.float32
        np.testing.assert_array_equal(env.data.ctrl, control.astype(np.float64))

        data = mujoco.MjData(env.model)
        mujoco.mj_setState(env.model, data, before, STATE)
        data.ctrl[:] = control
        mujoco.mj_step(env.model, data, 9)
        mujoco.mj_forward(env.model, data)
        lagged = Sensors(env.model).read(data)
        mujoco.mj_step(env.model, data)
        np.testing.assert_array_equal(obs, np.concatenate([data.qpos, data.qvel]))
        readings = lagged._replace(pelvis=data.qpos[:3].copy(), velocities=data.qvel.copy())
        assert rewards.sit(readings, Memory()).reward == pytest.approx(reward, abs=1e-12)
        mujoco.mj_forward(env.model, data)
        fresh = Sensors(env.model).read(data)
        assert abs(fresh.head_height - lagged.head_height) > 1e-6


def test_episodes_end_after_a_thousand_steps() -> None:
    env: Any = envs.make("hb:h1hand-crawl", envs.EnvOptions(max_episode_steps=5))
    env.reset(seed=0)
    assert [env.step(a)[2:4] for a in actions(5)] == [(False, False)] * 4 + [(False, True)]
    made = gymnasium.make("mppi_zoo/h1hand-crawl-v0")
    assert made.spec is not None and made.spec.max_episode_steps == 1000


def test_a_fall_ends_the_episode() -> None:
    env: Any = envs.make("hb:h1hand-walk")
    env.reset(seed=0)
    for action in actions(400):
        obs, _, terminated, truncated, _ = env.step(action)
        if terminated:
            break
    assert terminated and not truncated and obs[2] < 0.2


def test_wrong_action_shape() -> None:
    env = HumanoidBenchEnv("stand")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"shape \(1,\).*\(61,\)"):
        env.step(np.zeros(1))


# Rewards where recorded states leave doubt


def readings(**changes: Any) -> Readings:
    env = HumanoidBenchEnv("stand")
    return Sensors(env.model).read(at_keyframe(env))._replace(**changes)


def test_maze_goes_through_its_stages() -> None:
    memory, bonuses, directions = Memory(), [], []
    for x, y in CHECKPOINTS:
        here = readings(pelvis_before=np.array([x + 0.3, y, 1.0]))
        memory = maze(here, memory).memory
        bonuses.append(maze(here, memory).factors["stage_convert_reward"])
        directions.append(memory.direction)
    assert memory.stage == 4
    assert directions == [(1, 0), (0, 1), (1, 0), (0, 1), (0, 1)]
    assert maze(readings(), Memory()).factors["stage_convert_reward"] == 100.0
    beside = readings(pelvis_before=np.array([0.4, 0.0, 1.0]))
    assert maze(beside, Memory()).memory.stage == 0
    wall = readings(pelvis_before=np.array([9.0, 9.0, 1.0]), contacts=[("", "block")])
    free = wall._replace(contacts=[("", "floor")])
    assert maze(wall, Memory()).reward == pytest.approx(0.1 * maze(free, Memory()).reward)


@pytest.mark.parametrize(
    ("pair", "over"),
    [
        (("sphere", "floor"), False),
        (("sphere", "board"), False),
        (("board", ""), False),
        (("", ""), False),
        (("sphere", ""), True),
        (("floor", ""), True),
        (("floor", "board"), True),
    ],
)
def test_balance_is_lost_by_touch(pair: tuple[str, str], over: bool) -> None:
    high = readings(pelvis=np.array([0.0, 0.0, 1.4]))
    for contacts in ([pair], [pair[::-1]], [("sphere", "floor"), pair]):
        assert off_balance(high._replace(contacts=contacts)) is over
    assert off_balance(high._replace(pelvis=np.array([0, 0, 0.79]), contacts=[]))


@pytest.mark.parametrize(
    ("reward", "counted", "ignored"),
    [
        (rewards.hurdle, ("", "barrier"), ("", "hurdle")),
        (rewards.pole, ("pole", ""), ("pole", "floor")),
        (rewards.pole, ("wall", "pole"), ("", "wall")),
    ],
)
def test_collisions_cost_nine_tenths(reward: Any, counted: Any, ignored: Any) -> None:
    free = reward(readings(contacts=[]), Memory(), speed=1.0).reward
    touched = reward(readings(contacts=[ignored, counted]), Memory(), speed=1.0)
    assert free > 0 and touched.reward == pytest.approx(0.1 * free)
    assert reward(readings(contacts=[ignored]), Memory(), speed=1.0).reward == free


# Resets


@pytest.mark.parametrize("task", TASKS)
def test_resets_are_reproducible_and_leave_numpy_alone(task: str) -> None:
    np.random.seed(5)
    env, other = HumanoidBenchEnv(task), HumanoidBenchEnv(task)
    first, _ = env.reset(seed=1)
    again = [env.reset()[0], env.reset(seed=1)[0], other.reset(seed=1)[0]]
    assert not np.array_equal(first, again[0])
    np.testing.assert_array_equal(first, again[1])
    np.testing.assert_array_equal(first, again[2])
    assert np.random.uniform() == np.random.RandomState(5).uniform()


@pytest.mark.parametrize("task", ["walk", "balance_hard"])
def test_reset_noise_is_uniform(task: str) -> None:
    env = HumanoidBenchEnv(task)
    nq, key = env.model.nq, env.model.key_qpos[0]
    env.reset(seed=0)
    drawn = np.array([env.reset()[0] for _ in range(300)])
    assert not drawn[:, nq:].any()  # at rest
    quats = [i for i in range(nq) if i in range(3, 7) or (i >= 76 and (i - 76) % 7 >= 3)]
    for start in quats[::4]:
        norms = np.linalg.norm(drawn[:, start : start + 4], axis=1)
        np.testing.assert_allclose(norms, 1.0, atol=1e-12)
        assert np.abs(drawn[:, start + 1 : start + 4]).max() > 0.008
    rest = np.delete(np.arange(nq), quats)
    noise = (drawn[:, :nq] - key)[:, rest]
    assert np.abs(noise).max() <= 0.01
    assert np.abs(noise.mean(axis=0)).max() < 0.002
    np.testing.assert_allclose(noise.std(axis=0), 0.01 / np.sqrt(3), rtol=0.15)
    # Independent of one another.
    correlation = np.corrcoef(noise.T) - np.eye(len(rest))
    assert np.abs(correlation).max() < 0.35


def test_sit_hard_starts_somewhere_before_the_chair() -> None:
    env = HumanoidBenchEnv("sit_hard")
    env.reset(seed=0)
    drawn = np.array([env.reset()[0][:83] for _ in range(400)])
    yaw = 2.0 * np.arctan2(drawn[:, 6], drawn[:, 3])
    assert not drawn[:, 4:6].any()
    ranges = ((drawn[:, 0], 0.2, 0.4), (drawn[:, 1], -0.15, 0.15), (yaw, -1.8, 1.8))
    for values, low, high in ranges:
        assert low <= values.min() < low + 0.03 * (high - low)
        assert high >= values.max() > high - 0.03 * (high - low)
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.05 * (high - low))
    assert np.abs(drawn[:, 2] - 0.98).max() <= 0.01
    assert np.abs(drawn[:, 76:79] - [-0.25, 0, 0]).max() <= 0.01


def test_reach_draws_a_goal_and_keeps_it() -> None:
    env = HumanoidBenchEnv("reach")
    env.reset(seed=0)
    goals = np.array([env.reset()[0][-3:] for _ in range(400)])
    low, high = np.array([-2, -2, 0.2]), np.array([2, 2, 2.0])
    assert (goals >= low).all() and (goals <= high).all()
    np.testing.assert_allclose(goals.mean(axis=0), (low + high) / 2, atol=0.2)
    np.testing.assert_allclose(goals.std(axis=0), (high - low) / np.sqrt(12), rtol=0.1)
    for action in actions(3):
        np.testing.assert_array_equal(env.step(action)[0][-3:], goals[-1])


# Saved states


@pytest.mark.parametrize("task", TASKS)
def test_an_episode_is_a_function_of_its_seed_and_actions(task: str) -> None:
    env = envs.make(f"hb:h1hand-{task}")
    assert env.probe() == ""
    env.close()


# Gymnasium


def test_registered_names_are_the_tasks() -> None:
    assert tuple(TASKS) == registration.TASK_NAMES


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_gymnasiums_checker_passes(task: str) -> None:
    env = gymnasium.make(registration.gymnasium_id(task)).unwrapped
    check_env(env, skip_render_check=True)
    assert env.metadata["implementation"] == "mppi_zoo"


def test_importing_envs_registers_without_a_simulator() -> None:
    code = (
        "import sys, gymnasium, mppi_zoo.envs; "
        "spec = gymnasium.spec('mppi_zoo/h1hand-walk-v0'); "
        "sys.exit('mujoco' in sys.modules or spec.max_episode_steps != 1000)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


# Rendering, and doing without


def test_no_gl_without_rendering() -> None:
    code = (
        "import sys; from mppi_zoo import envs; env = envs.make('hb:h1hand-pole'); "
        "env.reset(seed=0); env.step(env.action_space.sample()); "
        "loaded = {'OpenGL', 'glfw', 'robosuite_models'} & set(sys.modules); "
        "sys.exit(f'imported {loaded}' if loaded else 0)"
    )
    environment = {**os.environ, "MUJOCO_GL": "disable"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr


def test_rendering() -> None:
    # In a process of its own: what OpenGL leaves behind would follow the other tests.
    code = (
        "from mppi_zoo import envs\n"
        "import sys\n"
        "envs.make('hb:h1hand-reach').reset(seed=0)\n"
        "if not envs.rendering_available()[0]: sys.exit(77)\n"
        "env = envs.make('hb:h1hand-reach', render=True)\n"
        "env.reset(seed=0)\n"
        "first = env.render().copy()\n"
        "assert first.shape == (240, 320, 3) and first.std() > 10, first.shape\n"
        "env.reset(seed=3)\n"
        "assert (env.render() != first).any()\n"
        "env.close()\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if result.returncode == 77:
        pytest.skip(envs.rendering_available()[1])
    assert result.returncode == 0, result.stderr


def test_render_without_gl_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_find_backend", lambda: (False, "no GL here"))
    with pytest.raises(RuntimeError, match="h1hand-walk was asked to render, but no GL here"):
        envs.make("hb:h1hand-walk", render=True)


# Errors


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meshes, "PACKAGE", "a_package_that_is_not_installed")
    model.build_model.cache_clear()
    for build in (
        lambda: envs.make("hb:h1hand-walk"),
        lambda: gymnasium.make("mppi_zoo/h1hand-walk-v0"),
    ):
        with pytest.raises(ImportError, match=r"pip install 'mppi_zoo\[humanoid\]'"):
            build()


@pytest.mark.parametrize("name", ["h1hand-wlk", "h1-walk", "h1hand", "h1hand-kitchen"])
def test_unknown_tasks(name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown hb task '{name}'.*h1hand-"):
        envs.make(f"hb:{name}")
    with pytest.raises(ValueError, match="unknown h1hand task 'wlk'.*walk"):
        HumanoidBenchEnv("wlk")


def test_dashes_are_underscores() -> None:
    env: Any = envs.make("hb:h1hand-sit-simple")
    assert env.unwrapped.task_name == "sit_simple"


def test_models_are_shared_and_unchanged() -> None:
    env, other = HumanoidBenchEnv("run"), HumanoidBenchEnv("walk")
    assert env.model is other.model
    before = copy.copy(env.model)
    env.reset(seed=0)
    for action in actions(5):
        env.step(action)
    for field in ("qpos0", "geom_pos", "actuator_ctrlrange", "key_qpos", "site_pos"):
        np.testing.assert_array_equal(getattr(env.model, field), getattr(before, field))
