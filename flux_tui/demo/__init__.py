"""The demo: plays scenario files on swarms of real nodes on loopback, and shows captions.

scenarios/             what happens, as data (TOML): nodes, content, steps, the stated outcome
scenario.py            the format of a scenario file, and its parser
facts/                 facts about a node, read from its series for captions and conditions
node_processes.py      one process that forks a process for each node, and ends them all when it ends
swarm_control.py       controls that process from outside: starts, kills, freezes and orders nodes
scenario_player.py     plays a scenario step by step, and checks that each step's conditions are observed
check.py               plays scenarios without a screen
narrated_dashboard.py  plays a scenario in the dashboard
scenario_menu.py       lets a person choose scenarios, one after the other
asciicast.py           records a demo as an asciicast
delay.py               a relay that makes loopback as slow as a long distance
fetch_one_by_one.py    the blocking way to fetch, for comparison

Rules
- Every node is real: it has its own process, home, key and libp2p host on 127.0.0.1. The demo needs no network, and
  leaves nothing behind, however it ends.
- The numbers in a caption are facts from a series at that moment. A step counts only if its conditions were
  observed.
- The player reads the same series files as the dashboard.
"""
