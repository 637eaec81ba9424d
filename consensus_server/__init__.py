"""The consensus service: answers in, pseudo-labels out."""

from client_kit._version import __version__ as __version__
