"""What MkDocs does besides, while ``docs/site_pages.py`` builds the site."""

from __future__ import annotations

import re

ROLES = re.compile(r":(?:class|func|meth|mod|data|attr|exc):(?=<code>)")
TARGETS = re.compile(r"<code>~(?:\w+\.)*(\w+)</code>")


def on_page_content(html: str, **_: object) -> str:
    """Docstrings name other parts as Sphinx does; here their name as code is enough."""
    return TARGETS.sub(r"<code>\1</code>", ROLES.sub("", html))
