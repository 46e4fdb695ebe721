"""The folder `model/` of this package holds the model's configuration, tokenizer and weights; nothing runs on import.

tritonrl finds it through the entry point `nano` in the group `tritonrl.models`. How it was made, and its tasks, are in
`tritonrl_nano.recipe`.
"""

__version__ = "0.1.0"
