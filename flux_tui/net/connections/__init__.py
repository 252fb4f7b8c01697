"""What each connection keeps to: keepalive, whole writes, frame buffers, paces, and tasks that fail alone."""
