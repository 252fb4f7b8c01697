"""Ways through routers with NAT: addresses outside of them, each proved by a dial back."""
