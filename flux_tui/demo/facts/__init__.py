"""Facts about a node, each read from its series, for captions and for conditions.

    noes                 a fact of the node that the scenario watches
    ada.sent             a fact of another node
    progress:film.mkv    a fact with its subject
    slow.span / fast.span                 one fact divided by another

    count:status_no >= 100                a condition: fact, comparison, number (or another fact)
    lapsed:bob +>= 1                      a condition on how much a fact grew since the step's actions began
    {+lapsed:bob}                         the same, in a caption
    {next:film.mkv}                       a fact in words: only for captions

In a caption, `{noes:busy}` is replaced by the number. A scenario writes no number into a caption if a fact can give
it. So a caption cannot report something that did not happen.

download_stages.py   where the time of a download goes
scene.py             the nodes and the content, as read from the series
fact_kinds.py        every kind of fact
fact_syntax.py       the notation above
"""
