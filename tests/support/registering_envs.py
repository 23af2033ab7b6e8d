"""Registers, when it is imported, an environment that cannot be made."""

import gymnasium


class Broken(gymnasium.Env):
    def __init__(self, render_mode=None):
        raise AttributeError("no such field")


if "Broken-v0" not in gymnasium.registry:
    gymnasium.register("Broken-v0", entry_point=f"{__name__}:Broken")
