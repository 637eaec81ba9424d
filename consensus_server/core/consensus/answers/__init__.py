"""The answers of a round as columns, and the arithmetic on them that knows no round.

table        all answers, one row each, in an order that arrival does not change
lengths      which answers and which pools are long
characters   which characters a reader sees
gates        what a gate is; the gates that read an answer by itself
pairs        every two answers of a pool, as one column
similarity   cosines that are the same bytes everywhere
centrality   how near an answer is to the others of its pool
tally        votes, counted by cluster
"""
