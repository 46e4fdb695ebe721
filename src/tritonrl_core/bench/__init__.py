"""Where candidates run: record without a GPU, replay with one."""
