"""What an argument has to be: checks that give it as it is used, or a ValueError that says what came and what is allowed."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

GREATEST = sys.float_info.max


def finite(name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, open_low: bool = False) -> float:
    """A finite number of [low, high], or of (low, high] where ``open_low``.

    >>> finite("p", 1, 0, 1)
    1.0
    """
    plain = _plain(value)
    if not _fits(plain, low, high, open_low):
        raise ValueError(f"{name} is a {_allowed('number', low, high, open_low)}; got {value!r}")
    return float(plain)


def whole(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> int:
    """A whole number of [low, high]. No float is one, not even 2.0.

    >>> whole("size", 2.5, 1)
    Traceback (most recent call last):
    ValueError: size is a whole number at least 1; got 2.5
    """
    plain = _plain(value)
    if not (isinstance(plain, Integral) and _fits(plain, low, high)):
        raise ValueError(f"{name} is a {_allowed('whole number', low, high)}; got {value!r}")
    return int(plain)


def flag(name: str, value: Any) -> bool:
    """True or False, and nothing that may pass for them: what was meant for another argument is not swallowed.

    >>> flag("expand", "false")
    Traceback (most recent call last):
    ValueError: expand is True or False; got 'false'
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} is True or False; got {value!r}")
    return value


def choice(name: str, value: Any, known: Iterable[Any]) -> Any:
    """One of ``known``, of the same type: no float and no truth value passes for a whole number.

    >>> choice("pooling", "maximum", ("max", "average"))
    Traceback (most recent call last):
    ValueError: pooling is one of 'max', 'average'; got 'maximum'
    """
    known = list(known)
    if not any(type(value) is type(other) and value == other for other in known):
        raise ValueError(f"{name} is one of {', '.join(map(repr, known))}; got {value!r}")
    return value


def several(
    name: str,
    value: Any,
    counts: Sequence[int],
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    of_whole: bool = False,
) -> tuple[Any, ...]:
    """Finite numbers of [low, high], as many as one of ``counts``; where that may be 1, a number by itself is one.

    >>> several("padding", [1, 2], (1, 2, 4), of_whole=True), several("sigma", 0.5, (1, 3), 0)
    ((1, 2), (0.5,))
    """
    values = _listed(value, alone=1 in counts)
    fit = len(values) in counts and all(_fits(v, low, high, open_low) for v in values)
    if not fit or (of_whole and not all(isinstance(v, Integral) for v in values)):
        many = _allowed("whole numbers" if of_whole else "numbers", low, high, open_low)
        count = " or ".join(map(str, counts)).replace(" or ", ", ", len(counts) - 2)
        raise ValueError(f"{name} is {count} {many}; got {value!r}")
    return tuple(map(int if of_whole else float, values))


def interval(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    one: bool = False,
) -> tuple[float, float]:
    """A range (from, to), from <= to, of finite numbers of [low, high]; where ``one`` may come, a number is from and to.

    >>> interval("ratio", (3, 2), 0, open_low=True)
    Traceback (most recent call last):
    ValueError: ratio is a range (from, to), from <= to, of finite numbers greater than 0; got (3, 2)
    """
    values = _listed(value, alone=one)
    fit = len(values) in ((1, 2) if one else (2,)) and all(_fits(v, low, high, open_low) for v in values)
    if not fit or values[0] > values[-1]:
        many = _allowed("numbers", low, high, open_low)
        kind = "a number, or a range (from, to)" if one else "a range (from, to)"
        raise ValueError(f"{name} is {kind}, from <= to, of {many}; got {value!r}")
    return float(values[0]), float(values[-1])


def _plain(value: Any) -> Any:
    """The numbers of arrays and tensors as those of Python."""
    return value.tolist() if hasattr(value, "tolist") else value


def _listed(value: Any, *, alone: bool = False) -> tuple[Any, ...]:
    """A sequence as a tuple, a number as one of itself where it may stand ``alone``; nothing of all else."""
    if isinstance(value, (tuple, list)):  # asked first, as that is quickest
        return tuple(value)
    value = _plain(value)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return tuple(value)
    return (value,) if alone else ()


def _fits(value: Any, low: float, high: float, open_low: bool = False) -> bool:
    kind = type(value)  # asked first, as that is quickest
    if kind is not float and kind is not int and (kind is bool or not isinstance(value, Real)):
        return False
    return -GREATEST <= value <= GREATEST and (value > low if open_low else value >= low) and value <= high


def _allowed(kind: str, low: float, high: float, open_low: bool = False) -> str:
    """``kind``, and the range it is of."""
    if math.isfinite(low) and math.isfinite(high):
        end = ")" if float(f"{high:g}") > high else "]"  # the number before 1 stands for all below 1
        return f"{kind} in {'(' if open_low else '['}{low:g}, {high:g}{end}"
    kind = kind if kind.startswith("whole") else f"finite {kind}"
    if math.isfinite(high):
        return f"{kind} at most {high:g}"
    return kind if low == -math.inf else f"{kind} {'greater than' if open_low else 'at least'} {low:g}"
