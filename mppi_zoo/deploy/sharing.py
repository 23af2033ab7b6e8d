"""A trained agent that travels: weights without code, its configuration, and a card about it.

``push`` writes the files below to a repository of the Hugging Face Hub, or to a local folder, which
:func:`mppi_zoo.load` takes as it is; ``pull`` makes a run folder of them, for the export and
``--init-from`` too.
Nothing of what is pulled is executed; modules that its configuration names are imported only as
those of any run folder.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from mppi_zoo.agent.checkpoint import BEST, FORMAT, LAST, VERSION, read_agent_file
from mppi_zoo.core.extras import require
from mppi_zoo.deploy.card import card
from mppi_zoo.runs import folder as run_folder
from mppi_zoo.runs import reader, tensor_file
from mppi_zoo.runs.atomic import write_text

WEIGHTS, CARD, CURVE = "agent.safetensors", "README.md", "learning_curve.png"
COPIED = (run_folder.CONFIG_FILE, run_folder.RUN_FILE, "metrics.csv", CURVE)
LOCAL = (".", "/", "~")  # how the name of a local folder begins; a repository's is OWNER/NAME


def push(folder: Path, repo: str, *, best: bool = True, license: str = "mit") -> str:
    """Write a run's agent to a repository; returns where it is.

    Args:
        folder: of a run.
        repo: ``OWNER/NAME`` on the hub, made if missing, or a folder: a path that begins with
            ``.``, ``/`` or ``~``.
        best: the agent of the best evaluation; else the last one.
        license: of the weights, as the hub names licences.

    Raises:
        ImportError: a package of the extra ``hub`` is missing.
        FileNotFoundError, ValueError: the folder holds no agent, or is damaged.
        FileExistsError: the local folder is not empty.
    """
    require("hub")
    if not _is_local(repo):
        from huggingface_hub import HfApi

        with tempfile.TemporaryDirectory() as staged:
            _write(folder, Path(staged), best, license)
            api = HfApi()
            api.create_repo(repo, exist_ok=True)
            return str(api.upload_folder(repo_id=repo, folder_path=staged))
    out = Path(repo).expanduser()
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty: name another folder")
    out.mkdir(parents=True, exist_ok=True)
    _write(folder, out, best, license)
    return str(out)


def pull(repo: str, out: Path, *, cache: Path | None = None, offline: bool = False) -> Path:
    """Make a run folder of a repository's agent; returns it.

    Args:
        repo: as for :func:`push`.
        out: the folder to make.
        cache: the hub client's cache; None: its own place.
        offline: take what the cache has, and ask no network.

    Raises:
        ImportError: a package of the extra ``hub`` is missing.
        FileExistsError: ``out`` is there already.
        FileNotFoundError, ValueError: the repository holds no agent, or a damaged one.
    """
    require("hub")
    if out.exists():
        raise FileExistsError(f"{out} is there already: name another folder with --out")
    source = Path(repo).expanduser()
    if not _is_local(repo):
        from huggingface_hub import snapshot_download

        names = [WEIGHTS, CARD, *COPIED]
        found = snapshot_download(
            repo, allow_patterns=names, cache_dir=cache, local_files_only=offline
        )
        # the client's cache holds links out of the snapshot, which reader.py does not follow
        with tempfile.TemporaryDirectory() as plain:
            for name in names:
                if (Path(found) / name).is_file():
                    shutil.copyfile(Path(found) / name, Path(plain) / name)
            return _read(Path(plain), repo, out)
    return _read(source, repo, out)


def _is_local(repo: str) -> bool:
    return repo.startswith(LOCAL)


def _write(folder: Path, out: Path, best: bool, license: str) -> None:
    from safetensors.torch import save_file

    record = run_folder.read(folder)
    _, content = read_agent_file(folder, best)
    tensors: dict[str, torch.Tensor] = {}
    about = {"step": content["step"], "state": _encoded(content["agent"], tensors)}
    # one entry, since the order of several would change from file to file
    save_file(tensors, out / WEIGHTS, metadata={"agent": json.dumps(about)})
    for name in COPIED:
        if reader.exists(folder, name):
            (out / name).write_bytes(reader.read_bytes(folder, name, reader.CSV_LIMIT))
    text = card(folder, record, step=content["step"], license=license, curve=CURVE)
    write_text(out / CARD, text)


def is_shared(folder: Path) -> bool:
    """Whether a folder is what :func:`push` writes, and no run folder."""
    return reader.exists(folder, WEIGHTS) and not reader.exists(folder, LAST)


def read_shared(source: Path, name: str = "") -> dict[str, Any]:
    """The content of an agent's file, from a folder that :func:`push` wrote.

    Args:
        source: the folder.
        name: of it, for messages; by default its path.

    Raises:
        ImportError: safetensors is missing.
        FileNotFoundError, ValueError: the folder holds no agent, or a damaged one.
    """
    require("hub", "a shared agent", "safetensors")
    from safetensors import SafetensorError, safe_open

    name = name or str(source)
    path = reader.inside(source, WEIGHTS)
    if not path.is_file():
        raise FileNotFoundError(f"{name} holds no agent: it has no {WEIGHTS}")
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["agent"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        agent, step = _decoded(about["state"], tensors), int(about["step"])
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{name}: {WEIGHTS} is damaged or of another program: {error}") from error
    return {"format": FORMAT, "version": VERSION, "sealed": True, "step": step, "agent": agent}


def _read(source: Path, repo: str, out: Path) -> Path:
    content = read_shared(source, repo)
    texts = {
        name: reader.read_bytes(source, name, reader.CSV_LIMIT)
        for name in (*COPIED, CARD)
        if reader.exists(source, name)
    }
    for name in (run_folder.CONFIG_FILE, run_folder.RUN_FILE):
        if name not in texts:
            raise FileNotFoundError(f"{repo} has no {name}")
    (out / LAST).parent.mkdir(parents=True)
    for name, data in texts.items():
        (out / name).write_bytes(data)
    for file in (LAST, BEST):
        tensor_file.write(out / file, content)
    return out


def _encoded(value: Any, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """A state as JSON, its tensors put aside by name: {"x": name}, {"d": pairs}, {"l": items}."""
    if isinstance(value, torch.Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {"x": name}
    if isinstance(value, dict):
        return {"d": [[key, _encoded(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        kind = "l" if isinstance(value, list) else "t"
        return {kind: [_encoded(item, tensors) for item in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return {"v": value}
    raise ValueError(f"the agent's state holds a {type(value).__name__}, which cannot travel")


def _decoded(value: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    ((kind, content),) = value.items()
    if kind == "x":
        return tensors[content]
    if kind == "d":
        return {key: _decoded(item, tensors) for key, item in content}
    if kind in ("l", "t"):
        items = [_decoded(item, tensors) for item in content]
        return items if kind == "l" else tuple(items)
    if kind == "v":
        return content
    raise ValueError(f"an entry of kind {kind!r}")
