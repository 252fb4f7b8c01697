"""The series and the chunks on disk: one SQLite database per home, and the files in which chunks are stored.

Modules; each imports only those above it:

    database                        the database's tables
    disk/                           files: safe paths, writes, holes, free space, one folder tree for each object
    segments/                       the older part of the series, in immutable files; checkpoints; pruning
    series_reader, series_export    entries read, by any process; a copy of a series in one file
    index/                          where each chunk is stored, and what happens to it when an object is removed
    writing/                        puts chunks and finished objects in their places
    series_size                     what a series takes on disk, and will take
    store                           the whole store, for the node, which alone writes to it
"""
