"""The doctor: looks for what is wrong with a home, this machine's clock, disk and network, and says what to do.

Modules:

    checkup         a check and its finding; what all checks are given; runs them
    home_checks     settings, the home's owner and rights, its lock, its disk, versions beside it
    clock_check     this machine's clock beside a time server, peers, and the series
    network_checks  routes, ports, mDNS, the swarm's key, peers
    sntp            asks a time server for the time
    mdns_probe      whether multicast of port 5353 comes back
    swarm_probe     whether the node at an address has the same swarm key
"""
