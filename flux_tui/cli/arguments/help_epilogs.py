"""The last sections of help pages: examples, files, exit status. For commands that do not define their own."""

EPILOGS: dict[str, str] = {
    "want": """\b
Examples:
  flux-tui want bafk…                 one chunk, or one object, into the store
  flux-tui want bafk… bafk… bafk…     several
  flux-tui want - < cids.txt          many, one on each line

It does not wait. `flux-tui state` shows what arrived, `flux-tui series` everything that happened.""",
    "cancel": """\b
Examples:
  flux-tui cancel bafy…          what has arrived is kept: a new want goes on from there
  flux-tui cancel - < cids.txt""",
    "release": """\b
Examples:
  flux-tui release bafy…         other peers need not keep it for this home any more""",
    "retry": """\b
Examples:
  flux-tui retry            all that is pending
  flux-tui retry bafy…      only this""",
    "join": """\b
Examples:
  flux-tui join /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW…
  flux-tui join flux1…           the addresses in a ticket; nothing is fetched

A node's addresses are in the first line that `flux-tui node` prints, and in `flux-tui state`. A `get`
with a ticket needs no join: the addresses are in the ticket.""",
    "stop": """\b
Examples:
  flux-tui stop                  ends when the node is gone
  flux-tui stop --home other     of another home

The next start of the node goes on with what is pending.""",
    "prune": """\b
Examples:
  flux-tui prune --keep 30d --dry-run         what would go
  flux-tui prune --keep 30d                   drop what is older than 30 days
  flux-tui prune --keep 1GiB --archive old    move what is too much to the folder `old`
  flux-tui replay old                         open what was moved

A running node prunes by itself with `keep` in the table `[series]` of settings.toml.""",
    "state": """\b
Examples:
  flux-tui state                 as tables
  flux-tui state --json          as one object, for a program
  flux-tui state --at 100        as it was after entry 100

It works whether or not a node runs: the state is the fold of the series.""",
    "series": """\b
Examples:
  flux-tui series                                   all of it
  flux-tui series --follow --kind status_no         every NO, as it comes
  flux-tui series --json --from 100                 for a program

It works whether or not a node runs.""",
    "export": """\b
Examples:
  flux-tui export evening.flux     then, anywhere:  flux-tui replay evening.flux
  flux-tui replay mine.flux theirs.flux     what did the other side see?
  flux-tui export --car bafy… film.car      an object; `flux-tui add film.car` shares it again

A series contains names, addresses, peer ids and paths, but no chunk and no key.""",
    "name": """\b
Examples:
  flux-tui name 12D3KooW… ada       called ada here and in the dashboard, from now on
  flux-tui name 12D3…kQ9a ada       the same, by the short form of its id
  flux-tui name ada                 called by its id again
  flux-tui name                     all names

The names are in names.toml, in the home.""",
    "why": """\b
Examples:
  flux-tui why film.mkv                                 why it is not here yet
  flux-tui why                                          the same for all that is pending
  flux-tui why film.mkv --at 20:20:20 --series evening.flux

It works whether or not a node runs.""",
    "replay": """\b
Examples:
  flux-tui replay evening.flux
  flux-tui replay mine.flux theirs.flux     what did the other side see?
  flux-tui replay evening.flux --at 20:20:20

Every key of the dashboard works, except those that push.""",
    "web": """\b
Examples:
  flux-tui web                     of this home's node; open the address that it prints
  flux-tui web evening.flux        of a recording
  flux-tui web --mask --port 0     for an audience, at any port that is free

It is an extra: pip install 'flux-tui[web]'. It listens on 127.0.0.1 only, and answers only
requests with the whole address: a page can push into the node, as a terminal can.""",
}  # fmt: skip

MAIN = """\b
Two machines:
  one:    flux-tui node          and in another terminal:  flux-tui add film.mkv
  other:  flux-tui get flux1…    (the ticket that `add` printed)
  either: flux-tui               to watch

\b
A demo of all of it, on this machine alone:  flux-tui demo

\b
Files, in the home:
  settings.toml     settings for every start of the node; assets/settings.toml is a sample
  names.toml        your names of peers: "12D3KooW…" = "ada"; `flux-tui name` and `:name` write it
  flux.db           the series, and the index of chunks (SQLite)
  identity          the node's private key, readable by you only
  objects/          chunks that are in no file of yours
  piped/            what `add -` read from standard input
  node.log          warnings and errors of a node in the background

\b
Environment:
  FLUX_TUI_HOME     the home, where --home is not given
  FLUX_TUI_…        any setting, as FLUX_TUI_UPLOAD_LIMIT=2MB/s; options override it
  NO_COLOR          if set, there are no colours, as with --no-color

\b
Exit status:
  0  done      1  failed: one sentence says why      2  wrong usage
  130  interrupted      128 + N  ended by signal N (143: SIGTERM, 129: SIGHUP)"""
