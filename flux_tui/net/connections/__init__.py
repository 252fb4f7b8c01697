"""What each connection keeps to: keepalive, whole writes, frames, paces, and tasks that fail alone."""
