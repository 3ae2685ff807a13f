"""sim2pose: train pose models on synthetic people and make them work on real ones."""

__version__ = "0.1.0"
