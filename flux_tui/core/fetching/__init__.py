"""The requester: what is wanted, which peers could send it, what is granted to which peer, and when to push
again."""
