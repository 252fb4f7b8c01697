"""Files: written, read, named, made durable, and how much room there is for them."""
