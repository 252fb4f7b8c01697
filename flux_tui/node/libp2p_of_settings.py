"""Opens the network of libp2p as the settings of a home say."""

from flux_tui.config import Settings, every_address
from flux_tui.core.text.agent_versions import agent_version
from flux_tui.home import Home
from flux_tui.net.port import OpenNetwork
from flux_tui.node.suggested_names import own_name


def libp2p_network(home: Home, settings: Settings, version: str, last_at: float = 0.0) -> OpenNetwork:
    """Return a function that opens the network.

    `version`: of this program. `last_at`: the time of the last entry of the home's series.
    """
    from flux_tui.net.addresses.listening import listen_error
    from flux_tui.net.flux.libp2p_network import open_network  # 600 ms: only where a network is opened
    from flux_tui.net.gateways.with_gateways import with_gateways
    from flux_tui.net.identity import load_or_create
    from flux_tui.net.upstream.clock import begin_after
    from flux_tui.net.upstream.pnet import load_swarm_key

    begin_after(last_at)

    listen = settings.listen_addrs(home)
    if not settings.listen and listen_error(listen[0]) is not None:
        listen = every_address(0)  # another program has the port that this home used last
    opening = open_network(
        load_or_create(home.identity),
        listen,
        use_mdns=settings.mdns,
        swarm_key=load_swarm_key(home.path / settings.swarm_key) if settings.swarm_key else None,
        relays=settings.relay,
        announce=settings.announce,
        relay_for_peers=settings.relay_for_peers,
        serve_relay=settings.serve_relay,
        port_mapping=settings.port_mapping,
        agent_version=agent_version(version, own_name(settings.suggest_name)),
        bitswap_peers=settings.bitswap_peers if settings.bitswap else 0,
    )
    return with_gateways(opening)
