"""From a kernel's TTIR to a binary for the target, in confined children; what is compiled is kept."""
