"""The series and the chunks on disk: one SQLite database to a home, and the files it points into."""
