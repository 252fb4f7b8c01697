"""Replicas: asking other nodes to keep an object (origin), and keeping one for other nodes (keeper)."""
