"""Custom messages, whose kinds programs define: their rate limit, and pushing them again after a NO."""
