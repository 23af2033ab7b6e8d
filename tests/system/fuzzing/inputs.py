"""Random values, bindings, texts and damages, each a function of a ``random.Random``."""

from __future__ import annotations

import inspect
import json
from random import Random
from typing import Any

from gin import config as gin_config

from mppi_zoo.config.suggestions import registered_parts
from mppi_zoo.core.kinds import constructor

SPECIAL = (
    *("None", "True", "False", "0", "1", "-1", "2", "3", "1.5", "-0.5", "1e-30", "1e30", "1e400"),
    *("-1e400", "2**60", "10000000000000000000000000", "'a'", "'inf'", "''", "()", "(1, -1)"),
    *("(-1.0, 1.0)", "[]", "[1, 2", "{}", "{'a': 1}", "'unclosed", "@", "@()", "@NoSuchPart()"),
    *("%", "%horizon", "%no_such_macro", "%task", "1,5", "nan", "lambda: 0", "__import__('os')"),
    *("\u00b2", "\u0000", "1 # note", "-True", "..."),
)
MACROS = ("horizon", "samples", "elites", "latent_dim", "batch_size", "seed_steps", "eval_every")
WORDS = (
    *"=.@%'\"()[]{},:-#\n\t\x00\ufeff\ud800é",
    *("include 'base.gin'", "import os", "null", "true", "1e999", "-1", "99999999999999999999"),
    *("nan", "inf", "&a [*a]", "!!python/object:os.system", "*x"),
    *("[" * 3000, "- " * 200, "((((" * 200, "a" * 5000),
)
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{n}: &{n} [{', '.join([f'*{p}'] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
)


def parameters() -> list[tuple[str, str]]:
    """(part, parameter) of everything that gin may bind."""
    found = []
    for name in registered_parts():
        part = gin_config._REGISTRY.get_match(name).wrapped  # pyright: ignore
        if constructor(part) is not object.__init__:
            found += [(name, parameter) for parameter in inspect.signature(part).parameters]
    return found


def value(draw: Random) -> str:
    """A value as gin text."""
    kind = draw.randrange(6)
    if kind == 0:
        return str(draw.choice((draw.randint(-3, 40), draw.randint(-(2**70), 2**70))))
    if kind == 1:
        return repr(draw.choice((draw.uniform(-2, 2), 10 ** draw.uniform(-320, 308))))
    if kind == 2:
        return f"@{draw.choice(registered_parts())}{draw.choice(('', '()'))}"
    if kind == 3:
        return f"({value(draw)}, {value(draw)})" if draw.random() < 0.5 else f"[{value(draw)}]"
    return draw.choice(SPECIAL)


def binding(draw: Random, known: list[tuple[str, str]]) -> str:
    """A binding of a registered parameter or a macro."""
    if draw.random() < 0.15:
        return f"{draw.choice(MACROS)} = {value(draw)}"
    part, parameter = draw.choice(known)
    scope = "scope/" if draw.random() < 0.03 else ""
    return f"{scope}{part}.{parameter} = {value(draw)}"


def text(draw: Random, original: str) -> str:
    """A text with a few faults."""
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8))):
        lines = original.split("\n")
        line, column = draw.randrange(len(lines)), draw.randrange(len(original) + 1)
        match draw.randrange(8):
            case 0:
                del lines[line]
            case 1:
                lines.insert(draw.randrange(len(lines) + 1), lines[line])
            case 2:
                other = draw.randrange(len(lines))
                lines[line], lines[other] = lines[other], lines[line]
            case 3:
                lines = [original[:column]]
            case 4:
                lines = [original[:column] + draw.choice(WORDS) + original[column:]]
            case 5:
                lines = [original[:column] + original[column + draw.randint(1, 9) :]]
            case 6:
                before, sign, _ = lines[line].rpartition(draw.choice("=:, "))
                lines[line] = before + sign + " " + value(draw)
            case _:
                lines[line] = draw.choice(WORDS)
        original = "\n".join(lines)
    return original


def json_text(draw: Random, original: str) -> str:
    """A JSON text with a value, a key or the text itself changed."""
    if draw.random() < 0.3:
        return text(draw, original)
    content = json.loads(original)
    odd: tuple[Any, ...] = (None, True, -1, 0, 1.5, 10**30, 1e400, "", "abc", [], {}, [None])
    odd += ("\ud800", "../..", "x" * 999)
    node, where = content, None
    for _ in range(draw.choice((1, 1, 2, 3))):  # go down
        if isinstance(node, dict | list) and node:
            keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
            where = (node, draw.choice(keys))
            node = node[where[1]]
    if where is None or draw.random() < 0.05:
        content = draw.choice(odd)
    elif draw.random() < 0.3:
        del where[0][where[1]]
    else:
        where[0][where[1]] = draw.choice(odd)
    return json.dumps(content)


def damage(draw: Random, original: bytes) -> bytes:
    """A file's bytes after a damage of more than a bit."""
    begin = draw.randrange(len(original) + 1)
    length = draw.choice((1, 8, 64, 512))
    match draw.randrange(5):
        case 0:
            return original[:begin]
        case 1:
            return original[:begin] + bytes(length) + original[begin + length :]
        case 2:
            return original[:begin] + draw.randbytes(length) + original[begin + length :]
        case 3:
            return original[:begin] + original[begin + length :]
        case _:
            return original + draw.randbytes(length)


def flip(draw: Random, original: bytes) -> bytes:
    """A file's bytes with one bit turned."""
    if not original:
        return b"\x01"
    changed = bytearray(original)
    changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)
