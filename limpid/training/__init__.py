"""The loop: one step, one epoch, one run; checkpoints, early stopping, signals, and the roads that a CPU has."""
