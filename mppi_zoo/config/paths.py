"""Where the gin files are: the user's own, or those that come with the package.

In a source checkout the shipped files are the top-level folder ``gin/``; a wheel carries a copy of
it inside the package, because a top-level ``gin`` there would collide with the gin module.
"""

from __future__ import annotations

from pathlib import Path

from mppi_zoo.core.nearest import did_you_mean, nearest

PACKAGE = Path(__file__).resolve().parents[1]


def gin_folder() -> Path:
    """The folder of the shipped gin files; see :func:`shipped_folder`."""
    return shipped_folder("gin")


def shipped_folder(name: str) -> Path:
    """A folder that lies beside the package in a checkout: ``gin`` or ``studies``.

    Raises:
        FileNotFoundError: neither the wheel's copy nor a source checkout's folder exists.
    """
    installed = PACKAGE / f"{name}_files"
    if installed.is_dir():
        return installed
    checkout = PACKAGE.parent
    # Next to an installed package, "gin" is the gin module: only setup.py marks a checkout.
    if (checkout / "setup.py").is_file() and (checkout / name).is_dir():
        return checkout / name
    raise FileNotFoundError(
        f"no {name} files come with this mppi_zoo: neither {installed} nor {checkout / name} is a "
        "source checkout's or a wheel's folder of them. Reinstall it: pip install --force-reinstall"
        " --no-deps <wheel or checkout>"
    )


def gin_names() -> list[str]:
    """Names of the shipped files as ``find_gin`` takes them, e.g. ``scale/laptop``, sorted."""
    folder = gin_folder()
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in _files(folder))


def find_gin(name: str) -> Path:
    """The gin file that ``name`` stands for.

    Args:
        name: an absolute path, a path relative to the working directory, or the name of a shipped
            file. The suffix ``.gin`` may be left out, and so may a leading ``gin/`` of a shipped
            file's name. A file in the working directory wins over a shipped one.

    Raises:
        FileNotFoundError: nothing is there; names the places looked at and the shipped files.
    """
    path = Path(name).expanduser()
    places = [path] if path.is_absolute() else [Path.cwd() / path]
    if not path.is_absolute():
        parts = path.parts[1:] if path.parts[:1] == ("gin",) else path.parts
        places.append(gin_folder().joinpath(*parts))
    for place in places:
        # Not with_suffix, which would eat the end of a name such as "lr0.1".
        for candidate in (place, place.with_name(place.name + ".gin")) if place.name else ():
            if candidate.is_file():
                return candidate
    near = did_you_mean(nearest(name.removeprefix("gin/").removesuffix(".gin"), gin_names()))
    looked = " or ".join(str(place) for place in places)
    raise FileNotFoundError(
        f"no gin file {name!r}: looked for {looked}, with and without '.gin'.{near} Give the path "
        f"of your own file or one of the shipped names: {', '.join(gin_names())}"
    )


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.gin") if path.is_file()]
