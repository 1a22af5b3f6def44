"""Networks by name, and what they cost."""

from dctnet.models.cost import multiply_adds, parameters
from dctnet.models.zoo import create_model, list_models

__all__ = ["create_model", "list_models", "multiply_adds", "parameters"]
