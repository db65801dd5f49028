"""Free TCP ports for a server that wants ten of them.

SeaweedFS takes five ports for HTTP and five more for gRPC, each 10,000 above its HTTP port. Both are kept below 32,768,
where Linux starts to hand out ports to outgoing connections (ip_local_port_range): a port there that is free now may be
taken at any later moment by anybody's client. The place in the range is drawn at random, so that servers that start at
once on one machine rarely meet; the one that finds its port taken after all draws again (see `embedded`).
"""

import secrets
import socket
from typing import Final

from edgepack.errors import StateError

LOOPBACK: Final = "127.0.0.1"

GRPC_OFFSET: Final = 10_000
"""SeaweedFS's distance between a component's HTTP port and its gRPC port."""

FIRST_PORT: Final = 10_240
LAST_PORT: Final = 32_767 - GRPC_OFFSET

DRAWS: Final = 200
"""Ports tried before giving up; on a machine where half of the range is taken, one in 2^200 such series fails."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback interface, and on its gRPC port, at this moment."""
    return all(can_listen(number) for number in (port, port + GRPC_OFFSET))


def draw_ports(count: int, *, taken: frozenset[int] = frozenset()) -> list[int]:
    """Choose free ports whose gRPC ports are free too and which do not collide with each other.

    Args:
        count: How many HTTP ports.
        taken: Ports that must not be chosen, because the caller is going to use them.

    Raises:
        StateError: The machine has not enough free ports left.
    """
    chosen: list[int] = []
    for _ in range(DRAWS):
        if len(chosen) == count:
            return chosen
        port = FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT + 1)
        mine = {port, port + GRPC_OFFSET}
        used = taken | set(chosen) | {other + GRPC_OFFSET for other in (*taken, *chosen)}
        if not mine & used and is_free(port):
            chosen.append(port)
    raise StateError(f"Found no {count} free TCP ports between {FIRST_PORT} and {LAST_PORT}.")


def can_listen(port: int) -> bool:
    """Whether a server could listen on this port of the loopback interface at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
