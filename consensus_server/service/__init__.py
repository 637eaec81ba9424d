"""Use cases. They know no transport, no web framework and no database: HTTP, the command line and tests call them alike.

Every method that takes a `Caller` checks what the caller may do; nothing else in the server does. Of the kit they
import `client_kit.wire.digests` only: pure functions that both sides must compute alike.
"""
