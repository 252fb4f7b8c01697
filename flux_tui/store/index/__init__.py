"""The index of chunks: which are here, where their bytes are, and how they are forgotten."""
