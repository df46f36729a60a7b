"""What is the case? Experiments on a network and its data, before or after training, that leave both as they were."""
