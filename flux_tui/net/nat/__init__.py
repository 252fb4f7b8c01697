"""Ways through routers with NAT: mapped ports, outer addresses that a dial back proves, and relays among peers."""
