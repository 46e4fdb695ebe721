"""What a candidate does on the GPU, as pure data, and what is read out of it: nothing here runs anything."""
