"""The table of operations: what the wire calls once a request is authentic and decoded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from edgepack.contract.shapes import Shape
from edgepack.service.caller import Caller


@dataclass(frozen=True, slots=True)
class Handler:
    """What carries out one operation.

    Attributes:
        call: Takes the caller and the decoded request; gives the response's shape, the response already encoded
            as JSON (`msgspec.Raw`), or None for an operation whose answer is empty. Raises an `EdgepackError` where
            the operation cannot be carried out; anything else that it raises is reported as an internal failure.
        inline: True for a call of a few dozen microseconds that never waits, which runs on the event loop; False for
            everything else, which runs in a thread.
    """

    call: Callable[[Caller, Any], Shape | msgspec.Raw | None]
    inline: bool = False


Operations = Mapping[str, Handler]
"""Handlers by operation name, e.g. `DescribeEdgePackagingJob`."""
