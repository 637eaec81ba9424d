"""What only the whole round can tell of an answer: whether it is admitted, what its vote weighs, how well it stands.

judging       the steps in their order; one verdict for each row
measures      what is measured of answers and of pairs
gates         the gates that read the round, and the one table of all gates
redundancy    copies, and what they leave of a vote
usual         what likeness is usual, and what is beyond it
standing      support by others who are independent, less what length adds
trust         reliability: how well a participant stands on the other prompts
earlier       what earlier rounds and upheld appeals say of a participant
large_pools   pools too large for a table of pairs
"""
