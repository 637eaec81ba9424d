"""The consensus service: answers in, pseudo-labels out."""

from importlib.metadata import version

__version__ = version("semantic-consensus")
