"""The packages that bring the attacks: foolbox and pyautoattack, imported when they are needed.

AutoAttack is that of ``pyautoattack``, a build of its authors' code: it runs as it is on current torch, and depends on nothing
else. ``torchattacks`` has it too, and runs, but holds the package ``requests`` at a release of 2020 for all that is installed
beside it.
"""

from __future__ import annotations

import warnings
from typing import Any


def load_foolbox() -> Any:
    """The module ``foolbox``; ValueError, which says what to install, where there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it imports a name of SciPy that SciPy 2 will not have
            import foolbox
    except ImportError as error:
        raise ValueError(
            f'this attack is that of the package foolbox: pip install "dctnet[robustness]" (the import said: {error})'
        ) from error
    return foolbox


def load_autoattack() -> Any:
    """The module ``pyautoattack``; ValueError, which says what to install, where there is none."""
    try:
        import pyautoattack
        import pyautoattack.square
    except ImportError as error:
        raise ValueError(
            f'this attack is that of the package pyautoattack: pip install "dctnet[robustness]" (the import said: {error})'
        ) from error
    return pyautoattack
