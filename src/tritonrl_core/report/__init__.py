"""What a run shows: one self-contained HTML page, and its best kernels as modules of their own.

`load` reads a run's folder, `series` and `summary` make figures of it, `candidates` packs what can be browsed, `page`
puts all into one file with the scripts and styles of `assets/`. `export` writes a kernel. Judges nothing.
"""
