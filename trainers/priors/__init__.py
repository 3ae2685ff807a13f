"""Training of pose priors."""
