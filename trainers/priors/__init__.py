"""Pose priors: evaluated on held-out people, compared, and used."""
