"""A proxy in front of a real PostgreSQL server that loses a connection at the very moment a test asks for."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

CHUNK = 1 << 16

Rule = Callable[[bytes, dict[str, bool]], bool]
"""Told what a client sends, and what it has noted of the connection: whether the answer to this is to be lost, and the
connection with it. The server gets it all the same."""


@dataclass
class PgProxy:
    """A running proxy; `rule` may be replaced at any time."""

    port: int
    upstream: int
    rule: Rule = field(default=lambda _data, _notes: False)


@contextmanager
def proxied_postgres(upstream: int) -> Iterator[PgProxy]:
    """Start a proxy in front of the server at a port of this machine, and stop it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = PgProxy(listener.getsockname()[1], upstream)
        thread = threading.Thread(target=_accept, args=(listener, proxy), name="pg-proxy", daemon=True)
        thread.start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _accept(listener: socket.socket, proxy: PgProxy) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, proxy), name="pg-connection", daemon=True).start()


def _serve(client: socket.socket, proxy: PgProxy) -> None:
    with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", proxy.upstream)) as server:
        lost = threading.Event()
        answers = threading.Thread(target=_answer, args=(server, client, lost), daemon=True)
        answers.start()
        notes: dict[str, bool] = {}
        while data := client.recv(CHUNK):
            if proxy.rule(data, notes):
                lost.set()
            server.sendall(data)
            if lost.is_set():
                answers.join()  # until the server has done it
                return


def _answer(server: socket.socket, client: socket.socket, lost: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while data := server.recv(CHUNK):
            if lost.is_set():
                return
            client.sendall(data)
        client.shutdown(socket.SHUT_RDWR)
