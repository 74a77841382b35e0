"""What ``make bench`` runs: the budgets of the design, as ratios of things measured side by side in one run."""
