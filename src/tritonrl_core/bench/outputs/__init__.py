"""Whether an output is right: how far each element may be from the reference, and where it is wrong."""
