"""What to write kernels for: tasks, their input cases, their prompts, and whether they are fit to judge with."""
