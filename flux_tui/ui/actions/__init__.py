"""What the keys of the dashboard do, and what its command line does."""
