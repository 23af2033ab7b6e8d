"""Figures say what they show in words that a reader can read."""

from __future__ import annotations

import pandas as pd

from mppi_zoo.analysis import figures


def test_labels_of_a_logarithmic_axis_are_numbers_and_no_formulas() -> None:
    points = {"source": "mppi_zoo", "algorithm": "bmpc_equiv", "seeds": 1, "interval": ""}
    table = pd.DataFrame({"step": [0, 1000, 2000], "value": [0.01, 1.0, 1000.0]}).assign(**points)
    table = table.assign(low=float("nan"), high=float("nan"))
    figure = figures.panels({"norm": table}, "agent_step", logarithmic=frozenset({"norm"}))
    figure.canvas.draw()
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert "0.1" in labels and "100" in labels
    assert not any("$" in label for label in labels)
