"""Which chunks are held, where their bytes are, and how they are forgotten."""
