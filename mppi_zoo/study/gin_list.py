"""Splits the text of a gin list into that of its values."""

from __future__ import annotations


def split_values(text: str) -> tuple[str, ...]:
    """The values of a gin list such as ``[0, 0.1, @Infinite(), (1, 2)]``, each as gin text.

    Raises:
        ValueError: it is not a list in brackets.
    """
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        raise ValueError(f"expected a list of values in brackets such as [0, 0.1], not {text!r}")
    values, depth, quote, value = [], 0, "", ""
    for character in text[1:-1]:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        if character == "," and depth == 0 and not quote:
            values.append(value.strip())
            value = ""
        else:
            value += character
    if depth or quote:
        raise ValueError(f"unbalanced brackets or quotes in {text!r}")
    if value.strip():
        values.append(value.strip())
    if "" in values:
        raise ValueError(f"an empty value in {text!r}")
    return tuple(values)
