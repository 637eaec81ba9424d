"""Models that tell contradictions where words leave it open: one on this machine, or one behind an inference API.

second_tier   words first, then a model, whose verdicts are kept
nli           a cross-encoder of sentence-transformers
judge         an inference API
"""

from consensus_server.backends.contradictions.judge import Judge as Judge
from consensus_server.backends.contradictions.nli import NliModel as NliModel
from consensus_server.backends.contradictions.nli import short_name as short_name
from consensus_server.backends.contradictions.second_tier import SecondTier as SecondTier
