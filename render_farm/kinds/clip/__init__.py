"""Clips: people who move through a world that a moving camera sees, with world and camera trajectories as labels."""
