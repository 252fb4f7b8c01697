"""The index of chunks: which chunks are here, where their bytes are stored, and how chunks are forgotten."""
