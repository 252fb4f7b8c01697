"""The series and the chunks on disk: one SQLite database per home, and the files in which chunks are stored.

Modules; each imports only those above it:

    database, checkpoint_retention  the database's tables, and the choice of the saved states that are kept
    series_reader                   entries read from a database, by any process
    disk/                           files: safe paths, writes, holes, free space, one folder tree for each object
    index/                          where each chunk is stored, and what happens to it when an object is removed
    writing/                        puts chunks and finished objects in their places
    store                           the whole store, for the node, which alone writes to it
"""
