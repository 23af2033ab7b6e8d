"""Finds the link meshes, which come with the package robosuite_models, not with this one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

PACKAGE = "robosuite_models"
EXTRA = "mppi_zoo[humanoid]"


def mesh_folder() -> Path:
    """The folder with the H1's link meshes, one STL file a link.

    The package is located but not imported, since importing it would import what it needs.

    Raises:
        ImportError: robosuite_models is not installed, or lacks the folder.
    """
    spec = importlib.util.find_spec(PACKAGE)
    advice = f"install it with: pip install '{EXTRA}'"
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            f"the hb tasks take the robot's link meshes from the package {PACKAGE}, which is not "
            f"installed; {advice}",
            name=PACKAGE,
        )
    folder = Path(spec.submodule_search_locations[0]) / "assets" / "robots" / "h1" / "meshes"
    if not (folder / "pelvis.STL").is_file():
        raise ImportError(
            f"the package {PACKAGE} has no mesh {folder / 'pelvis.STL'}; expected version 1.0; "
            f"{advice}",
            name=PACKAGE,
        )
    return folder
