"""A static page and its parts: text, tables, figures and videos, all embedded in one file."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import jinja2
import pandas as pd
from matplotlib.figure import Figure

from mppi_zoo.analysis.figure_style import RC

TEMPLATE = Path(__file__).with_name("report.html.j2")


@dataclass
class Section:
    """A heading and the HTML of the ``parts`` below it, in order."""

    title: str
    parts: list[str] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """For links within the page."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())

    def text(self, sentence: str) -> None:
        """A paragraph of plain text."""
        self.parts.append(f"<p>{escape(sentence)}</p>")

    def items(self, sentences: list[str]) -> None:
        """A list of plain text."""
        inner = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
        self.parts.append(f"<ul>{inner}</ul>")

    def subtitle(self, title: str) -> None:
        """A smaller heading."""
        self.parts.append(f"<h3>{escape(title)}</h3>")

    def figure(self, figure: Figure, caption: str) -> None:
        """A figure with its caption, which is its alternative text too."""
        width, height = (round(96 * inches) for inches in figure.get_size_inches())
        self.parts.append(
            f'<figure><img src="{data_uri(svg(figure), "image/svg+xml")}" width="{width}" '
            f'height="{height}" alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption>'
            "</figure>"
        )

    def table(self, rows: pd.DataFrame, caption: str = "") -> None:
        """A table. The caller formats numbers; empty cells become dashes."""
        head = "".join(f"<th>{escape(str(name))}</th>" for name in rows.columns)
        body = ""
        for row in rows.itertuples(index=False, name=None):
            body += f"<tr>{''.join(_cell(value) for value in row)}</tr>"
        title = f"<caption>{escape(caption)}</caption>" if caption else ""
        table = (
            f'<div class="scroll"><table>{title}<thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )
        if len(rows) > 24:
            table = f"<details><summary>{len(rows)} rows</summary>{table}</details>"
        self.parts.append(table)

    def video(self, content: bytes, caption: str) -> None:
        """A video, embedded in the page."""
        source = data_uri(content, "video/mp4")
        self.parts.append(
            f'<figure class="video"><video controls muted loop preload="metadata" src="{source}">'
            f"</video><figcaption>{escape(caption)}</figcaption></figure>"
        )


def _cell(value: object) -> str:
    text = "–" if value is None or value != value or value == "" else str(value)
    long = ' class="long"' if len(text) > 48 else ""
    return f"<td{long}>{escape(text)}</td>"


def svg(figure: Figure) -> bytes:
    """The figure as SVG; the same figure gives the same bytes."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": RC["svg.hashsalt"]}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """Content as a data: address, which needs no file and no server."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def page(title: str, lead: str, sections: list[Section]) -> str:
    """The whole page, which needs no other file."""
    template = jinja2.Template(TEMPLATE.read_text(encoding="utf-8"), autoescape=True)
    return template.render(title=title, lead=lead, sections=sections)
