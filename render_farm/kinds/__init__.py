"""Kinds of frames: what each draws and labels."""
