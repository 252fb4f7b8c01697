"""Commands for nodes that run without a person: `metrics`, `doctor` and `prune`."""
