"""Downloads: the blocks of each wanted object, where its content belongs, and backoff while it cannot be written."""
