"""Consensus as inference: OpenAI's chat and completions API over panels, for clients that speak it already.

Errors on these routes, on others that OpenAI's API has, and on these only, leave in OpenAI's envelope.
"""

from consensus_server.http_api.openai_compat.envelope import not_here
from consensus_server.http_api.openai_compat.routes import router

__all__ = ["not_here", "router"]
