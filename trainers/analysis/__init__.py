"""What a run's numbers mean: features, how well they tell the domains, errors by keypoint, comparisons of runs."""
