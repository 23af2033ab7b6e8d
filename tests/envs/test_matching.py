"""Messages for names that do not exist."""

from __future__ import annotations

from mppi_zoo.envs.matching import unknown_name


def test_few_names_are_all_listed() -> None:
    error = unknown_name("toy", "pont", ["point-terminating", "point"])
    assert isinstance(error, ValueError)
    assert str(error) == "unknown toy 'pont'; expected one of point, point-terminating"


def test_of_many_names_the_nearest_are_listed_whatever_their_case() -> None:
    names = [f"Walker-{number}" for number in range(20)] + ["Pendulum-v1"]
    said = str(unknown_name("gym task", "pendulum-V1", names))
    assert "nearest of the 21: Pendulum-v1" in said and "Walker" not in said


def test_where_none_is_near_some_are_shown() -> None:
    said = str(unknown_name("task", "???", [f"name-{number:02d}" for number in range(20)]))
    assert said.endswith("20 exist, such as name-00, name-01, name-02, name-03, name-04")
