"""Networks by name, from RGB networks, and what they cost."""

from dctnet.models.cost import multiply_adds, parameters
from dctnet.models.fold_stem import fold_stem
from dctnet.models.from_rgb import from_rgb
from dctnet.models.initialise_from import initialise_from
from dctnet.models.summary import summary
from dctnet.models.zoo import create_model, list_models, options_of

__all__ = [
    "create_model",
    "fold_stem",
    "from_rgb",
    "initialise_from",
    "list_models",
    "multiply_adds",
    "options_of",
    "parameters",
    "summary",
]
