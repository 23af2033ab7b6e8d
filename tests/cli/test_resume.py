"""What counts as a difference between a run and the configuration that takes it up."""

from __future__ import annotations

import json
from pathlib import Path

import gin
import pytest
from support.agents import MEMBERS

from mppi_zoo.cli.arguments import parser
from mppi_zoo.cli.resume import accept, settle
from mppi_zoo.config.bindings import read_bindings
from mppi_zoo.config.gin_config import is_default, operative_config, parse
from mppi_zoo.core.types import EnvSpec


def operative(member: str, *params: str) -> str:
    parse([member, "debug"], params).agent(EnvSpec(3, 2, 20))
    return operative_config()


def without(text: str, name: str) -> str:
    kept = {n: v for n, v in read_bindings(text).items() if n != name}
    assert len(kept) < len(read_bindings(text)), f"no {name} in the text"
    return "".join(f"{n} = {v}\n" for n, v in kept.items())


def compare(folder: Path, before: str, now: str) -> str:
    (folder / "config.gin").write_text(before)
    return accept(folder, now, [], force=True)


def test_comments_and_order_are_no_difference(tmp_path: Path) -> None:
    now = operative("bmpc_equiv")
    bindings = reversed(read_bindings(now).items())
    before = "".join(f"{name} = {value}  # as it was\n\n" for name, value in bindings)
    assert compare(tmp_path, before, now) == ""


def test_a_new_parameter_at_its_default_is_no_difference(tmp_path: Path) -> None:
    now = operative("tdmpc2_equiv")
    assert compare(tmp_path, without(now, "MPPIPlanner.min_std"), now) == ""
    now = operative("tdmpc2_equiv", "MPPIPlanner.min_std=0.125")
    shown = compare(tmp_path, without(now, "MPPIPlanner.min_std"), now)
    assert shown == "--- the run\n+++ now\n+MPPIPlanner.min_std = 0.125"


def test_a_parameter_with_no_default_is_a_difference(tmp_path: Path) -> None:
    now = operative("tdmpc2_equiv")
    shown = compare(tmp_path, without(now, "Experiment.env"), now)
    assert shown.splitlines()[2:] == ["+Experiment.env = @EnvOptions()"]


def test_a_parameter_that_is_gone_is_a_difference(tmp_path: Path) -> None:
    now = operative("tdmpc2_equiv")
    shown = compare(tmp_path, now, without(now, "MPPIPlanner.min_std"))
    assert shown.splitlines()[2:] == ["-MPPIPlanner.min_std = 0.05"]


def test_a_changed_value_is_shown_and_refused(tmp_path: Path) -> None:
    before, now = (operative("tdmpc2_equiv", f"steps={n}") for n in (100, 200))
    assert compare(tmp_path, before, now) == "--- the run\n+++ now\n-steps = 100\n+steps = 200"
    with pytest.raises(ValueError, match=r"-steps = 100\n\+steps = 200\nWith --force"):
        accept(tmp_path, now, [], force=False)
    assert (
        accept(tmp_path, before, ["--compile: False -> True"], True) == "--compile: False -> True"
    )


def test_a_damaged_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="config.gin is damaged .*: restore it"):
        compare(tmp_path, "MPPIPlanner.min_std = (", "")


@pytest.mark.parametrize("member", MEMBERS)
def test_all_that_gin_reports_without_a_binding_is_a_default(member: str) -> None:
    bindings = read_bindings(operative(member))
    bound, unbound = set(), set()
    for name in bindings:
        (bound if has_binding(name) else unbound).add(name)
    assert "POMPCAgent.seed" in unbound and "POMPCAgent.planner" in bound
    assert [name for name in unbound if not is_default(name, bindings[name])] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MPPIPlanner.max_std", "2.5"),
        ("MPPIPlanner.samples", "%samples"),
        ("POMPCAgent.planner", "@MPPIPlanner()"),
        ("MPPIPlanner.absent", "None"),
        ("Absent.max_std", "2.0"),
        ("max_std", "2.0"),
    ],
)
def test_other_values_are_no_defaults(name: str, value: str) -> None:
    assert not is_default(name, value)


def has_binding(name: str) -> bool:
    try:
        gin.query_parameter(name if "." in name else f"{name}/gin.macro.value")
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", ["member", "options", "versions"])
def test_a_record_that_lacks_what_resuming_needs(tmp_path: Path, name: str) -> None:
    record = {"member": "a", "options": {}, "versions": {}}
    (tmp_path / "run.json").write_text(json.dumps({**record, name: 3}))
    with pytest.raises(ValueError, match=rf"run\.json has no usable {name}: restore it"):
        settle(parser().parse_args(["--resume", str(tmp_path)]))
