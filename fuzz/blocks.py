"""Mutations that keep a tar stream's blocks whole: libFuzzer's own hardly ever move 512 bytes at once."""

from random import Random

BLOCK = 512
FIELDS = [(0, 100), (100, 124), (124, 136), (136, 148), (156, 157), (157, 257), (257, 265), (265, 345), (345, 500)]
"""Name, owners, size, time, type, link's target, magic, owners' names and devices, prefix."""


def with_other_blocks(data: bytes, random: Random) -> bytes:
    """An input for the reader with a block more, less, moved, blank, or with another block's field.

    Args:
        data: How it is to be framed, in one byte, and a tar stream.
        random: Chooses.
    """
    blocks = [data[start : start + BLOCK] for start in range(1, len(data), BLOCK)]
    if not blocks:
        return data
    here, there = random.randrange(len(blocks)), random.randrange(len(blocks))
    choice = random.randrange(6)
    if choice == 0:
        blocks.pop(here)
    elif choice == 1:
        blocks.insert(here, blocks[there])
    elif choice == 2:
        blocks[here], blocks[there] = blocks[there], blocks[here]
    elif choice == 3:
        blocks.insert(here, bytes(BLOCK))
    else:
        start, end = random.choice(FIELDS)
        blocks[here] = (
            blocks[here][:start] + random.choice([blocks[there], bytes(BLOCK)])[start:end] + blocks[here][end:]
        )
    return data[:1] + b"".join(blocks)
