"""Training: the supervised cold start and GRPO, on TRL.

`run.train` is the way in. `grpo` is the one file that subclasses TRL. Importing this package loads no torch.
"""
