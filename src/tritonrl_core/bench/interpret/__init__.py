"""A plan replayed on the CPU: the parent makes and compares, a confined child carries it out."""
