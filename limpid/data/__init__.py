"""What goes in: from a source to three splits, their spec, and batches."""
