"""Parts of a connection: keepalive, complete writes, frame buffers, read rates, and supervised tasks."""
