"""Data only: the folder `model/` of this package holds the model's configuration, tokenizer and weights.

tritonrl finds it through the entry point `nano` in the group `tritonrl.models`.
"""

__version__ = "0.1.0"
