"""What times and counts mean: speedups from samples, and estimates where there is no clock."""
