"""The messages that nodes send to each other, and their encoding as bytes."""
