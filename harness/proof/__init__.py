"""The model against the kernel: in each run, and in random networks."""
