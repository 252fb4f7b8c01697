"""What can stand in a series, and what it adds up to: events, the fold, and the rules that the fold applies."""
