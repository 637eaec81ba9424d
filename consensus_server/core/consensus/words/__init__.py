"""What texts say word for word.

lexical      words, their information, and how far two texts share them
order        whether neighbouring words stand in the order in which others write them
repetition   sentences that one participant says to many prompts
"""
