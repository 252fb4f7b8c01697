"""What a connection is held to: keepalive, whole writes, frames, pace, and tasks that fail alone."""
