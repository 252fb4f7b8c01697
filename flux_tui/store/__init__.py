"""The series and the chunks on disk: one SQLite database per home, and the files that it points into."""
