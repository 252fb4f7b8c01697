"""The DHT: routes intents to the nodes that provide the wanted roots, and provides the roots of this node."""
