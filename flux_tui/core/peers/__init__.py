"""What one peer may cost, where an intent goes, and which addresses are dialled on whose word."""
