"""The rules for each connection: keepalive, whole writes, frame buffers, paces, and tasks that fail alone."""
