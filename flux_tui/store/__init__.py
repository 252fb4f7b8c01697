"""The series and the chunks on disk: one SQLite database per home, and the files that it points into.

Modules, from the ground up:

    schema, checkpoints         the database's tables, and which saved states are kept
    series_reader               entries read from a database, by any process
    disk/                       files: safe paths, writes, holes, free space, one folder tree for each object
    index/                      where each chunk is, and what becomes of it when an object goes
    writing/                    chunks and finished objects put in their places
    store                       puts it all together for the node, the only writer
"""
