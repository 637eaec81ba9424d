"""What leaves a site: a record of every request that the kit sends, with its size and digest, never a token or a text.

`recording` begins one; `hooks` are what every HTTP client of the kit is made with; `record` writes, `reading` reads.
"""

from client_kit.egress.hooks import Kind as Kind
from client_kit.egress.hooks import async_hooks as async_hooks
from client_kit.egress.hooks import begin as begin
from client_kit.egress.hooks import current as current
from client_kit.egress.hooks import hooks as hooks
from client_kit.egress.hooks import of_round as of_round
from client_kit.egress.hooks import recording as recording
from client_kit.egress.record import NAME as NAME
from client_kit.egress.record import EgressRecord as EgressRecord
