"""What the user may have meant, for names in a configuration that do not exist."""

from __future__ import annotations

import difflib
import inspect
import re

from gin import config as gin_config

from mppi_zoo.core.nearest import did_you_mean, nearest


def registered_parts() -> list[str]:
    """Names of all parts that a configuration may use."""
    selectors = gin_config._REGISTRY.items()
    return sorted(
        configurable.name
        for _, configurable in selectors
        if not configurable.module.startswith("gin")
    )


def suggest(message: str) -> str:
    """What to write instead, if gin's ``message`` complains of an unknown part or parameter."""
    parameter = re.search(r"'([\w.]+)' doesn't have a parameter named '(\w+)'", message)
    if parameter:
        return _parameters(*parameter.groups())
    known = registered_parts()
    words = {word.strip("'\".@()`,:").split(".")[0] for word in message.split()}
    near = sorted({n for w in words for n in difflib.get_close_matches(w, known, 3, 0.75)} - words)
    if "No configurable matching" in message or "configurable" in message:
        return f"{did_you_mean(near)} Known parts: {', '.join(known)}."
    return ""


def _parameters(part: str, name: str) -> str:
    matches = gin_config._REGISTRY.matching_selectors(part)
    if len(matches) != 1:
        return ""
    known = [*inspect.signature(gin_config._REGISTRY[matches[0]].wrapped).parameters]
    short = part.rsplit(".", 1)[-1]
    near = [f"{short}.{other}" for other in nearest(name, known)]
    return f"\n{short} has the parameters {', '.join(known)}.{did_you_mean(near)}"
