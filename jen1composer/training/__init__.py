"""Training: the state, the step, the loop, checkpoints and metrics; here files are touched."""
