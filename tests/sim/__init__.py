"""A simulated swarm: the real core in virtual time, over links and disks that are made of dicts."""
