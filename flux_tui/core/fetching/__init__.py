"""The requester: what is wanted, who could send it, what was granted to whom, and when to push again."""
