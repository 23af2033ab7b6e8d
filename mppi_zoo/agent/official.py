"""Checkpoints of the authors' TD-MPC2 program, into an agent of this package.

The file is ``torch.save`` of ``{"model": state_dict}`` (some callers pass the inner dict). Two
generations of names exist: critics as ``_Qs.params.<layer>.<tensor>`` (new) or ``_Qs.params.<n>``
(old). Only networks are in it: no optimiser, no running scale.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.networks.critic import VCritic

TENSORS = ("weight", "bias", "ln.weight", "ln.bias")
SKIPPED = re.compile(
    r"__batch_size$|__device$|^_detach_Qs|^log_std_|^_Qs\.module\.|^_target_Qs\.module\."
)
PREFIXES = (
    ("_encoder.state.", "encoder."),
    ("_dynamics.", "dynamics."),
    ("_reward.", "reward."),
    ("_pi.", "pi."),
    ("_termination.", "termination."),
    ("_target_Qs_params.", "target_q."),
    ("_target_Qs.params.", "target_q."),
    ("_Qs.params.", "q."),
)
UNSUPPORTED = {
    "_task_emb": "multi-task models",
    "_action_masks": "multi-task models",
    "_encoder.rgb": "pixel observations",
}


def named_parameters(agent: POMPCAgent) -> Iterator[tuple[str, Tensor]]:
    """An agent's parameters under neutral names: ``encoder.0.weight``, ``q.1.ln.bias``, ...

    Nets: encoder, dynamics, reward, termination, pi, q or v, target_q or target_v; critics have a
    leading head axis.
    """
    model = agent.world_model
    nets = {
        "encoder": model.encoder,
        "dynamics": model.dynamics,
        "reward": model.reward_net,
        "pi": agent.policy.net,
    }
    if model.termination_net is not None:
        nets["termination"] = model.termination_net
    for net, module in nets.items():
        for name, parameter in module.named_parameters():
            yield f"{net}.{name}", parameter
    letter = "v" if isinstance(agent.critic, VCritic) else "q"
    for prefix, ensemble in (
        (letter, agent.critic.online),
        (f"target_{letter}", agent.critic.target_net),
    ):
        for name, parameter in ensemble.named_parameters():
            yield f"{prefix}.{name.removeprefix('layers.')}", parameter


def model_dict(content: Any) -> Mapping[str, Any] | None:
    """The networks in the content of an official file, None where it is something else."""
    if not isinstance(content, Mapping):
        return None
    inner = content.get("model", content)
    if isinstance(inner, Mapping) and "_encoder.state.0.weight" in inner:
        return inner
    unsupported = [f"{k} ({why})" for k, why in UNSUPPORTED.items() if _has(inner, k)]
    if unsupported:
        raise ValueError(f"this TD-MPC2 checkpoint needs {', '.join(unsupported)}: not supported")
    return None


def _has(names: Any, prefix: str) -> bool:
    return isinstance(names, Mapping) and any(str(name).startswith(prefix) for name in names)


def neutral(model: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors by neutral name, from either generation of names.

    Raises:
        ValueError: for multi-task or pixel models, and for names that are not known.
    """
    tensors: dict[str, Tensor] = {}
    for name, value in model.items():
        for prefix, what in UNSUPPORTED.items():
            if name.startswith(prefix):
                raise ValueError(f"the checkpoint holds {name}: {what} are not supported")
        if SKIPPED.search(name):
            continue
        for prefix, replacement in PREFIXES:
            if name.startswith(prefix):
                tensors[replacement + _tensor_name(name.removeprefix(prefix))] = value
                break
        else:
            raise ValueError(f"the checkpoint holds {name!r}, which no TD-MPC2 release writes")
    return tensors


def _tensor_name(name: str) -> str:
    if not name.isdigit():
        return name
    layer, tensor = divmod(int(name), 4)  # the old names number the critics' tensors through
    return f"{layer}.{TENSORS[tensor]}"


def sizes(model: Mapping[str, Any]) -> dict[str, int]:
    """The size macros of gin/base.gin, read off the tensors' shapes."""
    tensors = neutral(model)
    encoder = [int(n.split(".")[1]) for n in tensors if n.startswith("encoder.")]
    return {
        "enc_dim": tensors["encoder.0.weight"].shape[0],
        "mlp_dim": tensors["dynamics.0.weight"].shape[0],
        "latent_dim": tensors[f"encoder.{max(encoder)}.weight"].shape[0],
        "num_enc_layers": max(encoder) + 1,
        "critic_heads": tensors["q.0.weight"].shape[0],
    }


@torch.no_grad()
def load_official(model: Mapping[str, Any], agent: POMPCAgent) -> None:
    """Copy the networks of an official checkpoint into an agent of the same sizes.

    Raises:
        ValueError: naming every tensor that is missing, left over or of another shape.
    """
    tensors = neutral(model)
    ours = dict(named_parameters(agent))
    if isinstance(agent.critic, VCritic):
        raise ValueError("the checkpoint holds action values, but the configured critic is VCritic")
    wrong = [f"{name} is missing" for name in ours.keys() - tensors.keys()]
    wrong += [f"{name} is left over" for name in tensors.keys() - ours.keys()]
    wrong += [
        f"{name} has shape {tuple(tensors[name].shape)}, expected {tuple(ours[name].shape)}"
        for name in ours.keys() & tensors.keys()
        if tensors[name].shape != ours[name].shape
    ]
    if wrong:
        raise ValueError(
            f"the TD-MPC2 checkpoint does not fit the configured agent: {'; '.join(sorted(wrong))}."
            " Choose the task and the model size that it was trained with"
        )
    for name, parameter in ours.items():
        parameter.copy_(tensors[name])
