"""Files and folders as blocks under one root CID: UnixFS, dag-pb, HAMT folders, tickets. No network."""
