"""Replicas: asking others to keep an object (origin), and keeping one for others (keeper)."""
