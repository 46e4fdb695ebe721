"""ATen operators: which a plan may hold, what kind of work each is, and watching their calls."""
