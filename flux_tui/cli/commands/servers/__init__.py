"""Commands for nodes that run without a person: `metrics` and `doctor`."""
