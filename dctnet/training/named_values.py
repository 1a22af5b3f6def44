"""Options of a command that are names and values, written as YAML in one word."""

from __future__ import annotations

from typing import Any

import yaml

from dctnet.data.folder import DataError


def named_values(option: str, text: str, example: str) -> dict[str, Any]:
    """What ``text``, given as ``option``, says; DataError, which shows the ``example``, where that is no mapping from names.

    >>> named_values("--options", "{depth: 18}", "{depth: 34}")
    {'depth': 18}
    """
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"{option} are written as in YAML, such as {example!r}; got {text!r}") from error
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
        raise DataError(f"{option} are names and values, such as {example!r}; got {text!r}")
    return given
