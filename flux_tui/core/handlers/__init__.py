"""What the machine does with an input that concerns several of its parts: one module for each family of inputs."""
