"""Write docs/compatibility.md: the contract's operations and members, with what docs/compatibility.toml says of them.

With --check nothing is written; the exit code says whether the file is what it should be.
"""

import argparse
import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import inspect

from edgepack.contract.fields import SAGEMAKER_API_VERSION, STS_API_VERSION
from edgepack.contract.operations import OPERATIONS, Operation
from edgepack.contract.shapes import Shape

ROOT = Path(__file__).parents[1]
SAYS = ROOT / "docs" / "compatibility.toml"
PAGE = ROOT / "docs" / "compatibility.md"

VERDICTS = {"aws": "as AWS", "chosen": "chosen by us", "absent": "not there"}

INTRODUCTION = f"""# Compatibility

Every operation that edgepack serves, and every member of its requests and responses, each **as AWS** did it, **chosen
by us** (where AWS's behaviour is not public, or where it lost something), or **not there**. This page is generated
from the contract and from `docs/compatibility.toml` by `make docs`; the tests hold the contract against botocore's own
models (SageMaker {SAGEMAKER_API_VERSION}, STS {STS_API_VERSION}), and see to it that each test named here exists.

## All operations

* **Signature.** Signature Version 4 in the Authorization header, verified on every call; the clock may be 15 minutes
  off. The region must be the server's. Presigned requests are not accepted.
* **Errors.** `ValidationException` lists all faults at once in AWS's words. An unknown member is refused by name, where
  AWS would drop it silently; so is a member that is there twice. A known service's operation that is not below is
  `UnknownOperationException`.
* **Accounts.** An access key belongs to an account; no job, tag or component of another account can be seen. Objects
  are the store's: jobs read and write with the server's own key for it, so that accounts which must not reach each
  other's buckets need servers with stores of their own. The embedded store knows every access key that does not end by
  itself, and each may do everything there.
* **Times** are seconds since the epoch, with microseconds.
* **SageMaker Python SDK.** `Session.default_bucket()` asks AWS's own STS address whatever the variables say: give the
  session a bucket, `Session(default_bucket="models")`, and it asks nobody. The rest goes where the variables point.
"""


def main() -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    page = render(tomllib.loads(SAYS.read_text()))
    if not check:
        PAGE.write_text(page)
        return 0
    if not PAGE.exists() or PAGE.read_text() != page:
        print("docs/compatibility.md is not up to date: run `make docs`", file=sys.stderr)
        return 1
    return 0


def render(says: dict[str, Any]) -> str:
    """The whole page.

    Args:
        says: The decoded docs/compatibility.toml.

    Raises:
        SystemExit: It names an operation, a member or a test that does not exist.
    """
    unknown = says.keys() ^ OPERATIONS.keys()
    if unknown:
        raise SystemExit(f"docs/compatibility.toml and the contract differ in {sorted(unknown)}")
    sections = [section(operation, says[name]) for name, operation in OPERATIONS.items()]
    return "\n".join([INTRODUCTION, *sections])


def section(operation: Operation, says: dict[str, Any]) -> str:
    """One operation: its sentence, its behaviour, its members."""
    lines = [f"## {operation.name}", "", says["about"], ""]
    if behaviour := says.get("behaviour"):
        lines += ["| case | | what happens | shown by |", "|---|---|---|---|"]
        lines += [
            f"| {case['what']} | {VERDICTS[case['verdict']]} | {case['says']} | `{proof(case['proof'])}` |"
            for case in behaviour
        ]
        lines.append("")
    lines += member_table(operation, says.get("members", {}))
    return "\n".join(lines) + "\n"


def member_table(operation: Operation, notes: dict[str, list[str]]) -> list[str]:
    """All members of request and response."""
    rows, used = [], set()
    for title, shape in (("request", operation.request), ("response", operation.response)):
        for path in members(shape):
            verdict, text = notes.get(path, ["aws", ""])
            used.add(path)
            rows.append(f"| {title} | `{path}` | {VERDICTS[verdict]} | {text} |")
    if unknown := notes.keys() - used:
        raise SystemExit(f"{operation.name} has no member {sorted(unknown)}")
    return ["| | member | | |", "|---|---|---|---|", *rows] if rows else ["No members."]


def members(shape: type[Shape] | None) -> Iterator[str]:
    """The paths of all members, nested ones with dots."""
    if shape is not None:
        yield from _members(inspect.type_info(shape), "")


def _members(kind: inspect.Type, path: str) -> Iterator[str]:
    match kind:
        case inspect.UnionType():
            for each in kind.types:
                yield from _members(each, path)
        case inspect.Metadata():
            yield from _members(kind.type, path)
        case inspect.ListType():
            yield from _members(kind.item_type, f"{path}[]")
        case inspect.StructType():
            for field in kind.fields:
                below = f"{path}.{field.encode_name}" if path else field.encode_name
                yield below
                yield from _members(field.type, below)


def proof(reference: str) -> str:
    """The reference to a test, which must exist."""
    path, _, name = reference.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    if not any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body):
        raise SystemExit(f"There is no test {reference}")
    return reference


if __name__ == "__main__":
    sys.exit(main())
