"""State and entries in words for people and as JSON, and text from elsewhere made safe to show."""
