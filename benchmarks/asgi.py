"""Signed requests to the application in this process: all that a server does with them but the sockets."""

import asyncio
import json
import time
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from describe_inputs import ACCOUNT, REGION
from edgepack.database.engine import Database
from edgepack.jobs.workflow import system_clock
from edgepack.keys.sealing import SecretBox
from edgepack.service.credentials import CredentialLookup, ensure_first_key
from edgepack.service.operations import Operations
from edgepack.wire.app import App, Limits, create_app

HOST = "edgepack.example"


class Client:
    """A client of an application of its own, with a key of its own; no limit of requests a second.

    Args:
        database: Where its key is kept.
        secrets: Seals it.
        operations: What is served.
    """

    def __init__(self, database: Database, secrets: SecretBox, operations: Operations) -> None:
        key = ensure_first_key(database, secrets, account_id=ACCOUNT, now=system_clock())
        self._credentials = Credentials(*key)
        self._app: App = create_app(
            operations=operations,
            lookup=CredentialLookup(database, secrets),
            lookup_inline=database.is_sqlite,
            region=REGION,
            limits=Limits(read_rate=None, work_rate=None),
        )

    def close(self) -> None:
        """Release the application's threads."""
        self._app.close()

    def timed(self, operation: str, bodies: list[dict[str, Any]]) -> list[float]:
        """Send requests one after the other; how long each took, in microseconds."""
        requests = [self._signed(operation, json.dumps(body).encode()) for body in bodies]
        return asyncio.run(self._in_turns(requests))

    async def _in_turns(self, requests: list[tuple[dict[str, Any], bytes]]) -> list[float]:
        times = []
        for scope, body in requests:
            start = time.perf_counter()
            await self._answered(scope, body)
            times.append((time.perf_counter() - start) * 1e6)
            await asyncio.sleep(0)
        return times

    async def _answered(self, scope: dict[str, Any], body: bytes) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            assert message.get("status", 200) == 200

        await self._app(scope, receive, send)

    def _signed(self, operation: str, body: bytes) -> tuple[dict[str, Any], bytes]:
        request = AWSRequest("POST", f"http://{HOST}/", data=body)
        request.headers["Content-Type"] = "application/x-amz-json-1.1"
        request.headers["X-Amz-Target"] = f"SageMaker.{operation}"
        SigV4Auth(self._credentials, "sagemaker", REGION).add_auth(request)
        headers = [(b"host", HOST.encode()), (b"content-length", b"%d" % len(body))]
        headers += [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
        scope = {"type": "http", "method": "POST", "raw_path": b"/", "query_string": b"", "headers": headers}
        return scope, body
