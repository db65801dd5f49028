"""The bare uvicorn that Describe is measured against: it answers everything with as many bytes as it is told to."""

import sys
from typing import Any

import uvicorn


def hello(size: int) -> Any:
    """An ASGI application that reads nothing and answers `size` fixed bytes."""
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"application/x-amz-json-1.1"), (b"content-length", str(size).encode())],
    }
    body = {"type": "http.response.body", "body": bytes(size)}

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start)
        await send(body)

    return application


if __name__ == "__main__":
    uvicorn.run(
        hello(int(sys.argv[1])),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="error",
    )
