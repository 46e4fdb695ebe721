"""A candidate's Python run on fake CUDA tensors, where no GPU is needed, and written down as a launch plan."""
