"""Writes chunks to disk: into the files of objects that are being fetched, or, for loose chunks, by themselves."""
