"""A pytest plugin that has the package use the extension at DCTNET_EXTENSION in place of the installed one.

DCTNET_EXTENSION=FILE python -m pytest -p tests.sanitize.instrumented ...
"""

import importlib.util
import os
import sys

NAME = "dctnet.jpeg._native"


def pytest_configure() -> None:
    """Load the extension under its name, before anything imports the package."""
    spec = importlib.util.spec_from_file_location(NAME, os.environ["DCTNET_EXTENSION"])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[NAME] = module
