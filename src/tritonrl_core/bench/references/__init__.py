"""The trusted reference of a task: its source executed, the tensors of its cases, what it must give."""
