"""The commands of the shell that look into objects."""
