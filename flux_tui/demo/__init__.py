"""The demo: plays scenario files on swarms of real nodes on loopback, and shows captions.

scenarios/   what happens, as data (TOML): nodes, content, steps, the stated outcome
scenario.py  the format of such a file, and its parser
facts/       facts about a node, read from its series for captions and conditions
nodes.py     one process that forks a process for each node; nothing outlives it
swarm.py     the other end of that process: start, kill, freeze, push
player.py    plays a scenario step by step, and says only what it observed
check.py     plays without a screen
screen.py    plays under the dashboard
menu.py      lets a person choose, and comes back
record.py    records a demo as an asciicast
delay.py     a relay that makes loopback as slow as a distance
request_response.py  the blocking way to fetch, for comparison

Rules
- Every node is real: it has its own process, home, key and libp2p host on 127.0.0.1. The demo needs and
  reaches no network, and leaves nothing behind, however it ends.
- The numbers in a caption are facts of a series at that moment. A step counts only if its condition was seen.
- The series file is the interface here, too: the player reads the same file as the dashboard.
"""
