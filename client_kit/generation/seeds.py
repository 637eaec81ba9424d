"""A seed of its own for each answer, so that an answer does not depend on what is asked beside or before it."""

import hashlib


def answer_seed(seed: int, prompt_id: str, sample: int) -> int:
    """0 to 2**31 - 1, which every inference API takes."""
    digest = hashlib.sha256(f"{seed}\t{prompt_id}\t{sample}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
