"""A gin text as names and values, without gin: for what compares or rewrites configurations."""

from __future__ import annotations

import io
import tokenize

_IGNORED = (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def read_bindings(text: str) -> dict[str, str]:
    """Names and values, as text on one line each, in the order of the file; later ones win.

    Macros are names without a dot. Comments and imports are left out; a value may span lines.

    Raises:
        ValueError: a line that is no binding, such as an include, or a value that does not end.
    """
    bindings: dict[str, str] = {}
    for number, line in _logical_lines(text):
        if line.split()[0] in ("import", "from"):
            continue
        name, equals, value = line.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise ValueError(f"line {number} is {line!r}, expected NAME = VALUE")
        bindings[name.strip()] = value.strip()
    return bindings


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """(number of the first line, text) of each statement, however many lines it spans."""
    lines: list[tuple[int, str]] = []
    line, begin, end = "", 0, (0, 0)
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NEWLINE:
                lines.append((begin, line))
                line = ""
            elif token.type not in _IGNORED:
                if not line:
                    begin = token.start[0]
                elif token.start != end:
                    line += " "
                line += token.string
                end = token.end
    except (tokenize.TokenError, SyntaxError) as error:
        raise ValueError(f"the text ends within a value, or is no gin: {error}") from error
    return lines
