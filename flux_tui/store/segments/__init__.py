"""The older part of a series: closed segments, each an immutable file that begins with a checkpoint.

The newest entries are rows in the home's database, where they are committed together with the rows of chunks.
When they take some MiB, the oldest of them are packed into a segment: a file in the folder `series` of the
home. So the database stays small, and a segment takes about a sixth of what its rows took.

    series/000000000001-000000016402.flux   pages of entries, and checkpoints
    series/000000016403-000000033105.flux   the same; its first checkpoint is the state after entry 16,402
    flux.db                                 entries from 33,106 on, newest checkpoints, the list of segments

- **Rotation**: 1. the segment's file is written under another name, flushed, and renamed. 2. One transaction
  adds it to the list of segments. 3. Its rows are deleted, some thousands at a time. Readers look for rows
  first and for a segment next, so they find each entry at any moment. A kill before 2 leaves a file that no
  list names: the next start removes it. A kill after 2 leaves rows that are in a segment, too: the next
  rotation deletes them.
- **Prune**: 1. with an archive, the segment's file is copied there, flushed, and renamed. 2. One transaction
  removes it from the list. 3. Its file is removed. A kill after 2 leaves a file that no list names. Only
  whole segments are dropped, the oldest first, and only if the rest begins with a checkpoint of a known
  version. A reader that has the file open goes on reading it; any other finds that history begins later.
- **A home of one file**, from a version before, is taken over in place: the running node packs its oldest
  entries, segment by segment. Nothing is rewritten at the start.

Modules; each imports only those above it:

    checkpoint_retention  which checkpoints stay in the database
    cid_lists             lists of CIDs that entries have in common, stored once
    pages                 1,024 entries, compressed
    page_index            which peers and CIDs each page names, for a search
    entry_rows            the entries that are rows of a database
    pieces, saved_states  a checkpoint as pieces, which checkpoints share; those of the database
    segment_file          writes a segment, and reads one
    catalog, folder       the segments of a home: their list and their files; those of an archive
    rotation, pruning     moves the oldest entries into a segment; drops or archives the oldest segments
    series_files          all of them together, for the store
"""
