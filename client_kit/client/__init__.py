"""Clients of a consensus server, blocking and asynchronous."""

from client_kit._transport import RetryPolicy
from client_kit.client.asynchronous import AsyncConsensusClient
from client_kit.client.blocking import ConsensusClient
from client_kit.client.submitting import Answers, Submission

__all__ = ["Answers", "AsyncConsensusClient", "ConsensusClient", "RetryPolicy", "Submission"]
