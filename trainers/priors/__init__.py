"""Pose priors: learning densities of poses, and measuring them on people that they have not seen."""
