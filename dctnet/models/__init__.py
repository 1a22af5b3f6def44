"""Networks by name, and what they cost."""

from dctnet.models.cost import multiply_adds, parameters
from dctnet.models.summary import summary
from dctnet.models.zoo import create_model, list_models, options_of

__all__ = ["create_model", "list_models", "multiply_adds", "options_of", "parameters", "summary"]
