"""What crosses the wire: messages and their encoding."""
