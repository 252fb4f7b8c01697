"""What those commands share that look into objects: paths, the blocks of a home, and what to take of a folder."""
