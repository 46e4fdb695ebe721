"""How the bundled model is made: its tasks, a corpus with mistakes, the tokenizer, and the command that rebuilds it.

    python -m tritonrl_nano.recipe build --out DIR      corpus, tokenizer, training (minutes on a GPU)
    python -m tritonrl_nano.recipe evaluate --model DIR  right at temperature 1 and greedy, on held-out tasks

The package's users need none of it: the weights are files. The recipe is a user of `tritonrl-core` and imports it, and
torch, inside functions only.
"""
