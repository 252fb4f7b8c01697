"""Facts about a node, each read from its series, for captions and for conditions.

    noes                 a fact of the node that the scenario watches
    ada.sent             a fact of another node
    progress:film.mkv    a fact with its subject
    slow.span / fast.span                 one fact divided by another

    count:status_no >= 100                a condition: fact, comparison, number (or another fact)
    lapsed:bob +>= 1                      a condition on how much a fact grew since the step's actions began
    {+lapsed:bob}                         the same, in a caption
    {next:film.mkv}                       a fact in words: only for captions

In a caption, `{noes:busy}` becomes the number as a person reads it. A scenario never writes a number into a
caption that could be a fact. So a caption cannot report something that did not happen.

download_time.py   where the time of a download goes
scene.py           what is known of each node, read from its series
fact_kinds.py      every kind of fact
terms.py           the notation above
"""
