"""The client half of the parameter path: adapters to files and back, and how they are mixed. Needs the extra `train`."""

from client_kit.parameters.files import rank_of, read_file, write_update

__all__ = ["rank_of", "read_file", "write_update"]
