"""One package made in one pass through an object store, without the service: what an edge packaging job is at its core.

Reads the model once, and has the store copy it or sends it, each byte once. Prints `seconds`, `cpu_seconds` and
`peak_mb` as JSON; importing and connecting are not in the times, as they are not in those of a job. The store is the
one that the environment names, as `edgepack env` prints it.
"""

import argparse
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from edgepack.cli.memory import keep_small
from edgepack.jobs.transfer import package_object
from edgepack.jobs.transfer_destination import Destination
from edgepack.jobs.transfer_terms import PackagedObject, Signing, TransferProgress
from edgepack.keys.signing import load_signer
from edgepack.objects.address import parse_object_uri
from edgepack.objects.info import Mark, ObjectInfo
from edgepack.objects.store import ObjectStore
from edgepack.package.manifest import ModelIdentity
from measuring import peak_mb


class SendingStore(ObjectStore):
    """A store that copies nothing by itself."""

    def can_copy_from(self, other: ObjectStore, source: ObjectInfo, *, kms_key_id: str | None) -> bool:  # noqa: ARG002
        """No."""
        return False


def connect(*, copying: bool) -> ObjectStore:
    """The store that the environment names."""
    kind = ObjectStore if copying else SendingStore
    return kind(
        endpoint=os.environ["AWS_ENDPOINT_URL_S3"],
        region=os.environ["AWS_REGION"],
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    )


def transfer(store: ObjectStore, source: ObjectInfo, target: str, data: Path) -> PackagedObject:
    """Package one object into another."""

    def nothing(_: str | TransferProgress) -> None:
        return

    identity = ModelIdentity(model_name="model", model_version="1.0")
    return package_object(
        store_in=store,
        source=source,
        written_etag=None,
        destination=Destination(
            store=store,
            target=parse_object_uri(target),
            kms_key_id=None,
            mark=Mark(owner="benchmark", created_at=time.time_ns() // 1000, attempt=1),
            replaces=None,
            upload_opened=nothing,
            upload_closed=nothing,
            upload_in_doubt=lambda: None,
        ),
        signing=Signing(identity=identity, signer=load_signer(data), signed_at=datetime.now(UTC)),
        checkpoint=nothing,
    )


def main() -> None:
    """Transfer and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="s3:// URI of the model artifact")
    parser.add_argument("target", help="s3:// URI of the package")
    parser.add_argument("data", type=Path, help="data folder with the signing keys")
    parser.add_argument("--send", action="store_true", help="send every byte in place of copying")
    arguments = parser.parse_args()
    keep_small()
    store = connect(copying=not arguments.send)
    source = store.head(parse_object_uri(arguments.source))
    seconds, cpu_seconds = time.perf_counter(), time.process_time()
    transfer(store, source, arguments.target, arguments.data)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - seconds,
                "cpu_seconds": time.process_time() - cpu_seconds,
                "peak_mb": peak_mb(os.getpid()),
            }
        )
    )


if __name__ == "__main__":
    main()
