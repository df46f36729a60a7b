"""Use it: predictions for new raw samples, and the network in forms that others load."""
