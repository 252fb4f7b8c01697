"""The container of assets/Dockerfile, tried where no Docker is."""
