"""Writing chunks to disk: objects that are being fetched, and loose chunks."""
