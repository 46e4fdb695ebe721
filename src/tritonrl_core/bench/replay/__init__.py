"""A plan replayed and timed on a GPU, by trusted worker processes that run no candidate Python."""
