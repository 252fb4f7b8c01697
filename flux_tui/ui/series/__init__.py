"""A series as the dashboard reads it: one cursor in time, filters, folded lines, checkpoints. No widgets."""
