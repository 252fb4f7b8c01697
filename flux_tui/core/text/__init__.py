"""State and entries in words and as JSON, and text from elsewhere made safe to show."""
