"""Heatmap keypoint networks: networks, heatmap coding, losses, domain classifiers, published weights."""
