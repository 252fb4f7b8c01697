"""The responder: answers other nodes' wants, decides which peers are served now, and which chunk is sent next."""
