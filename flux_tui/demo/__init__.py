"""The demo: swarms of real nodes on loopback, played from scenario files, and told in captions.

scenarios/   what happens, as data (TOML): nodes, content, steps, the stated outcome
scenario.py  the form of such a file, and its reading
facts.py     what can be said of a node: read from its series, never written in
nodes.py     one process that forks a process for each node; nothing outlives it
swarm.py     that process, from outside: start, kill, freeze, push
player.py    plays a scenario step by step; what it says is what it observed
check.py     the same without a screen
screen.py    the same under the dashboard
record.py    the same into an asciicast
delay.py     a relay that makes loopback as slow as a distance
request_response.py  the blocking way to fetch, for comparison

Rules
- Every node is a real one: its own process, home, key and libp2p host on 127.0.0.1. No network is needed,
  none is reached, and nothing is left behind, however the demo ends.
- A caption's numbers are facts of a series at that moment. A step counts only if its condition was seen.
- Here, too, the series file is the interface: the player reads what the dashboard reads.
"""
