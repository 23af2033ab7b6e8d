"""Gin at the edge: files and bindings in, one :class:`Experiment` of parts out.

Gin itself lets an unused binding or a mistyped macro pass in silence; here both are errors.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import importlib
import inspect
import logging
import sys
import tokenize
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gin
from gin import config as gin_config

from mppi_zoo.agent import agent as _agent  # noqa: F401  (registers the parts by import)
from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.config import renames
from mppi_zoo.config.declared import check_bindings
from mppi_zoo.config.paths import find_gin, gin_folder
from mppi_zoo.config.suggestions import suggest
from mppi_zoo.core.registration import register
from mppi_zoo.envs import EnvOptions
from mppi_zoo.objective import divergence as _divergence  # noqa: F401
from mppi_zoo.planning import depth_average as _depth_average  # noqa: F401
from mppi_zoo.planning import gradient as _gradient  # noqa: F401
from mppi_zoo.planning import mppi as _mppi  # noqa: F401
from mppi_zoo.training.callbacks import Callback
from mppi_zoo.training.options import TrainingOptions
from mppi_zoo.training.past_the_end import NothingPastTheEnd, PastTheEnd
from mppi_zoo.training.reanalysis import NoReanalysis, Reanalysis
from mppi_zoo.training.sampling import Sampling, UniformSampling


@register
@dataclass(frozen=True)
class Experiment:
    """The parts of a run: what a configuration chooses.

    Attributes:
        task: name of the environment, see :func:`mppi_zoo.envs.make`.
        agent: (spec, seed=, device=, dtype=) -> :class:`POMPCAgent`.
        execution: (agent) -> :class:`Execution`, how it runs.
        env: how the environment is wrapped.
        training: schedule and sizes of the training loop.
        reanalysis: refreshes stored planner distributions.
        sampling: which windows an update learns from.
        past_the_end: what the replay stores after a step that ended its episode for good.
        callbacks: called after steps, episodes and evaluations.
    """

    task: str
    agent: Callable[..., POMPCAgent]
    env: EnvOptions
    training: TrainingOptions
    reanalysis: Reanalysis | NoReanalysis
    execution: Callable[[POMPCAgent], Execution] = Execution
    sampling: Sampling = field(default_factory=UniformSampling)
    past_the_end: PastTheEnd = field(default_factory=NothingPastTheEnd)
    callbacks: Sequence[Callback] = ()


def parse(
    files: Sequence[str], params: Sequence[str] = (), imports: Sequence[str] = ()
) -> Experiment:
    """Read gin files, then bindings (later ones win), and build the experiment's parts.

    Args:
        files: names or paths, resolved by :func:`mppi_zoo.config.paths.find_gin`. A run folder's
            config.gin may be that of an earlier version, see :mod:`mppi_zoo.config.renames`.
        params: bindings such as ``"KLObjective.lam=0.1"``.
        imports: modules outside the package that register parts of their own.

    Raises:
        FileNotFoundError: for an unknown file; names the known ones.
        ValueError: for an unknown part or parameter, or one that cannot be parsed.
    """
    gin.clear_config()
    for module in imports:
        _import(module)
    paths = [find_gin(name) for name in files]
    searched = list(gin_config._LOCATION_PREFIXES)
    for folder in dict.fromkeys((gin_folder(), *(path.parent for path in paths))):
        gin.add_config_file_search_path(str(folder))
    logging.disable(logging.ERROR)  # gin reports each place that it tries for an include
    try:
        # not finalized: that would lock gin, and a notebook could register no part after a run
        for path in paths:
            with _naming(str(path)):
                _parse_file(path)
        for binding in params:
            with _naming(repr(binding)):
                gin.parse_config(binding)
        check_bindings()
        _refuse_no_member(files)
        return gin.get_configurable(Experiment)()
    except (ValueError, SyntaxError, TypeError, OSError) as error:
        hint = renames.hint(str(error)) or suggest(str(error))
        raise ValueError(f"{_plain(error)}{hint}") from error
    finally:
        logging.disable(logging.NOTSET)
        gin_config._LOCATION_PREFIXES[:] = searched  # gin would look there for ever


def _refuse_no_member(files: Sequence[str]) -> None:
    """Files of scales and environments alone choose no agent."""
    bound = [
        b for (_, selector), b in gin_config._CONFIG.items() if selector.endswith("Experiment")
    ]
    if not any("agent" in bindings for bindings in bound):
        raise ValueError(
            f"--gin {' --gin '.join(files)} names no member: expected one before it, such as "
            f"--gin tdmpc2_equiv --gin {files[-1]}"
        )


@contextlib.contextmanager
def _naming(source: str) -> Iterator[None]:
    """Say where it was that gin's parser gave up."""
    try:
        yield
    except RecursionError as error:
        raise ValueError(
            f"{source}: it includes itself, or a value in it is nested too deeply"
        ) from error
    except (SyntaxError, tokenize.TokenError, UnicodeDecodeError) as error:
        token = isinstance(error, tokenize.TokenError) and error.args  # gin drops them at times
        reason = error.args[0] if token else error
        raise ValueError(
            f"{source} cannot be read: {reason}; expected NAME = VALUE, with quotes and brackets "
            "closed"
        ) from error


def _parse_file(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    upgraded = renames.upgrade(text)
    if upgraded == text:
        gin.parse_config_file(str(path))  # which names the file in its errors
    else:
        gin.parse_config(upgraded)


def _import(module: str) -> None:
    if not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(
            f"--import {module!r}: expected the name of a module, such as my_parts or "
            "package.my_parts, and no path"
        )
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"--import {module}: {error}; give a module importable from here or installed"
        ) from error


def _plain(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__


def own_text(files: Sequence[str], params: Sequence[str]) -> str:
    """The user's part of a configuration: bindings, and files that do not come with the package."""
    shipped = gin_folder().resolve()
    own = [p for p in map(find_gin, files) if not p.resolve().is_relative_to(shipped)]
    return "\n".join([*params, *(renames.upgrade(path.read_text()) for path in own)])


def dead_bindings(within: str = "") -> list[str]:
    """Names of the bindings that no part has read; call it when all parts are built.

    Args:
        within: only those in this text. With an override that replaces a part, the shipped
            bindings of the part it replaced are dead, and rightly so; those of ``base.gin`` also
            where a shipped member replaces the part.
    """
    known_macros, base = _shipped_macros(), _base_names()
    parts = {selector for _, selector in gin_config._OPERATIVE_CONFIG}
    dead = []
    for (scope, selector), bindings in gin_config._CONFIG.items():
        used = gin_config._OPERATIVE_CONFIG.get((scope, selector), {})
        short = selector.rsplit(".", 1)[-1]
        for parameter in bindings.keys() - used.keys():
            name = f"{short}.{parameter}"
            if selector != "gin.macro":
                replaced = name in base and selector not in parts and name not in within
                dead += [] if replaced else [name]
            elif scope not in known_macros:
                dead.append(scope)
    return sorted(name for name in dead if not within or name in within)


def _base_names() -> set[str]:
    """What base.gin binds, macros and parameters."""
    lines = (gin_folder() / "base.gin").read_text().splitlines()
    return {line.split("=")[0].strip() for line in lines if "=" in line and line[0] not in "# "}


def _shipped_macros() -> set[str]:
    return {name for name in _base_names() if name.isidentifier()}


def check_macros(params: Sequence[str], files: Sequence[str] = ()) -> None:
    """Raise for a binding of a macro that neither the shipped files nor the user's own have.

    What :func:`check_dead_bindings` finds only when all parts are built is here found before.

    Raises:
        ValueError: naming it, with the nearest valid names.
    """
    known = _shipped_macros()
    own = own_text(files, ())
    for binding in params:
        name = binding.split("=")[0].strip()
        if "." not in name and name not in known and f"%{name}" not in own:
            near = difflib.get_close_matches(name, sorted(known), 2)
            hint = f" Did you mean {', '.join(near)}?" if near else ""
            raise ValueError(
                f"there is no macro {name or repr(name)}.{hint} The macros are "
                f"{', '.join(sorted(known))}; "
                "a parameter of a part has its name before it, such as KLObjective.lam"
            )


def check_dead_bindings(files: Sequence[str], params: Sequence[str]) -> None:
    """Raise for bindings that nothing used, with the nearest valid names.

    Raises:
        ValueError: naming each of them.
    """
    dead = dead_bindings(within=own_text(files, params))
    if not dead:
        return
    parts = sorted({s.rsplit(".", 1)[-1] for (_, s) in gin_config._OPERATIVE_CONFIG} - {"macro"})
    macros = sorted(_shipped_macros())
    near = {n for name in dead for n in difflib.get_close_matches(name, macros, 2)}
    hint = f" Did you mean {', '.join(sorted(near))}?" if near else ""
    raise ValueError(
        f"bindings that nothing uses: {', '.join(dead)}.{hint} The parts of this "
        f"configuration are {', '.join(parts)}; the macros are {', '.join(macros)}. Correct or "
        "remove them."
    )


def operative_config() -> str:
    """The full configuration as used, defaults included; parses back to the same experiment."""
    return gin.operative_config_str(max_line_length=100)


def is_default(name: str, value: str) -> bool:
    """Whether a value, as text, is the one that the part declares for its parameter.

    Args:
        name: such as ``KLObjective.lam``.
        value: as :func:`mppi_zoo.config.bindings.read_bindings` gives it.
    """
    part, _, parameter = name.rpartition(".")
    matches = gin_config._REGISTRY.matching_selectors(part) if part else []
    if len(matches) != 1:
        return False
    declared = inspect.signature(gin_config._REGISTRY[matches[0]].wrapped).parameters
    try:
        return parameter in declared and ast.literal_eval(value) == declared[parameter].default
    except (ValueError, SyntaxError):  # a macro or a part, which no signature declares
        return False


def set_macro(name: str, value: Any) -> str:
    """A binding that sets a macro, as text for :func:`parse`."""
    return f"{name} = {value!r}"
