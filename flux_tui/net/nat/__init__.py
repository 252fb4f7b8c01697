"""Ways through routers with NAT: mapped ports and addresses outside, each proved by a dial back."""
