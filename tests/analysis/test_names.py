"""Names and styles of series: one colour a method, whatever else the figure shows."""

from __future__ import annotations

from mppi_zoo.analysis.names import styles
from mppi_zoo.analysis.runs import SOURCE

VALUES = [(SOURCE, f"pompc_adaptive_fkl [lam={lam}]") for lam in ("0.0", "0.1", "1.0", "Infinite")]
PUBLISHED = [("tdmpc2_release", "tdmpc2"), ("bmpc_release", "bmpc")]


def test_colours_of_own_runs_stay_when_published_curves_join() -> None:
    alone = styles(VALUES)
    for together in (styles(PUBLISHED + VALUES), styles(VALUES + PUBLISHED)):
        assert {key: together[key].colour for key in VALUES} == {
            key: style.colour for key, style in alone.items()
        }
    assert len({style.colour for style in alone.values()}) == len(VALUES)


def test_a_method_and_its_equivalent_share_a_colour() -> None:
    found = styles([*PUBLISHED, (SOURCE, "tdmpc2_equiv"), (SOURCE, "bmpc_equiv")])
    assert found[PUBLISHED[0]].colour == found[SOURCE, "tdmpc2_equiv"].colour
    assert found[PUBLISHED[1]].colour == found[SOURCE, "bmpc_equiv"].colour
    assert found[PUBLISHED[0]].line != found[SOURCE, "tdmpc2_equiv"].line
