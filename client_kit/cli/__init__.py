"""The command line of a participant: `consensus`. One module per command; heavy libraries are loaded by those that need them."""

from client_kit.cli.application import app, main

__all__ = ["app", "main"]
