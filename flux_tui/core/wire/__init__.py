"""Messages on the wire, and their encoding."""
