"""Grants: which holder sends which block, and until when."""
