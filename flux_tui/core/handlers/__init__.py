"""Handlers of inputs that concern several parts of the machine: one module for each family of inputs."""
