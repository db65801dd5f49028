"""The jobs of a run, drawn from its seed: what each packages, what happens to it, and how it may end."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from driving import BUCKET
from harness import ROLE
from models import onnx_archive, tar_gz

MIB = 1 << 20

PACKAGING, COMPILATION = "edge_packaging_jobs", "compilation_jobs"

COMPLETED: Final = frozenset({"COMPLETED"})
FAILED: Final = frozenset({"FAILED"})
STOPPABLE: Final = frozenset({"COMPLETED", "STOPPED"})
"""How a job may end that somebody tries to stop."""

SOURCES: Final = {
    "small-1": {"compiled.so": b"\x7fELF" + bytes(4096), "compiled.params": bytes(range(256)) * 64},
    "small-2": {"compiled.params": random.Random(2).randbytes(200_000), "manifest": b"[]", "empty": b""},
    "large-1": {"compiled.params": random.Random(3).randbytes(24 * MIB), "compiled.so": b"\x7fELF"},
    "large-2": {"a/compiled.params": random.Random(4).randbytes(56 * MIB)},
}
"""Models by name, with their files. Random bytes are not compressed: it would only take time."""

SMALL, LARGE = ("small-1", "small-2"), ("large-1", "large-2")
MISSING, HOSTILE = "missing", "hostile"
"""Compilation jobs whose artifact is deleted, or replaced by an archive that climbs out of its folder."""

POISON: Final = "poison"

PRESET_STOPPED = 0.3
"""Share of the jobs to be stopped that would publish a component."""

WEIGHTS: Final = {
    "small": 42,
    "large": 14,
    "preset": 10,
    "stopped": 9,
    "again": 8,
    "missing": 3,
    "hostile": 3,
    "compile": 6,
    "onnx": 3,
    "compile missing": 2,
}
"""How often each sort of job is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A job to be created.

    Attributes:
        kind: The table of such jobs.
        request: What Create is sent.
        source: Whose files its result must have; None if it leaves none, or none that are known.
        ends: The statuses in which it may end.
        stop_after: Seconds from its creation until somebody tries to stop it.
    """

    kind: str
    name: str
    request: dict[str, Any]
    source: str | None
    ends: frozenset[str]
    stop_after: float | None = None


def archive(source: str) -> bytes:
    """A source's archive; of several tens of megabytes, stored, not compressed."""
    files = SOURCES[source]
    return tar_gz(files, level=0 if source in LARGE else 6)


def hostile_archive() -> bytes:
    """One that no job may package."""
    return tar_gz({"../../evil": b"bad"})


@dataclass
class Plan:
    """Draws jobs.

    Args:
        rng: Decides.
    """

    rng: random.Random
    _versions: dict[str, int] = field(default_factory=dict)
    _number: int = 0

    def jobs(self, count: int) -> Iterator[Planned]:
        """So many jobs; one of each sort first."""
        for sort in WEIGHTS:
            yield self._job(sort)
        for sort in self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=max(0, count - len(WEIGHTS))):
            yield self._job(sort)

    def poison(self) -> Planned:
        """The job that kills every worker which runs it; large, for there to be time."""
        return packaging(POISON, "large-2", ends=FAILED)

    def _job(self, sort: str) -> Planned:
        self._number += 1
        name = f"{sort.replace(' ', '-')}-{self._number}"
        if sort in {"compile", "onnx", "compile missing"}:
            return self._compilation(sort, name)
        small, ends = self.rng.choice(SMALL), COMPLETED
        changes: dict[str, Any] = {}
        source = small
        match sort:
            case "large":
                source = self.rng.choice(LARGE)
            case "preset":
                source, changes = self.rng.choice((*SMALL, *LARGE)), {"preset": True}
            case "again":
                source, changes = self.rng.choice((small, "large-1")), {"model": "again"}
            case "stopped":
                source, ends = self.rng.choice((small, *LARGE)), STOPPABLE
                changes = {"preset": self.rng.random() < PRESET_STOPPED, "stop_after": self.rng.uniform(0, 3)}
            case "missing" | "hostile":
                source, ends = sort, FAILED
        return packaging(name, source, ends=ends, **changes)

    def _compilation(self, sort: str, name: str) -> Planned:
        if sort == "compile missing":
            return compilation(name, f"s3://{BUCKET}/in/none.tar.gz", source=None, ends=FAILED)
        if sort == "onnx":
            return compilation(name, f"s3://{BUCKET}/in/onnx.tar.gz", source=None, ends=COMPLETED, compiler="onnx")
        source = self.rng.choice(SMALL)
        return compilation(name, f"s3://{BUCKET}/in/{source}.tar.gz", source=source, ends=COMPLETED)


def packaging(
    name: str,
    source: str,
    *,
    ends: frozenset[str],
    preset: bool = False,
    model: str | None = None,
    stop_after: float | None = None,
) -> Planned:
    """An edge packaging job of a compiled model."""
    output: dict[str, Any] = {"S3OutputLocation": f"s3://{BUCKET}/packaged"}
    if preset:
        config = {"ComponentName": f"com.example.{name}", "ComponentVersion": "1.0.0"}
        output |= {"PresetDeploymentType": "GreengrassV2Component", "PresetDeploymentConfig": json.dumps(config)}
    request = {
        "EdgePackagingJobName": name,
        "CompilationJobName": f"source-{source}",
        "ModelName": model or name,
        "ModelVersion": "1.0",
        "RoleArn": ROLE,
        "OutputConfig": output,
    }
    known = source if source in SOURCES else None
    return Planned(kind=PACKAGING, name=name, request=request, source=known, ends=ends, stop_after=stop_after)


def compilation(name: str, uri: str, *, source: str | None, ends: frozenset[str], compiler: str = "none") -> Planned:
    """A compilation job: one that passes an archive through, or one that runs a real compiler on an ONNX model."""
    output: dict[str, Any] = {
        "S3OutputLocation": f"s3://{BUCKET}/compiled/{name}",
        "TargetPlatform": {"Os": "LINUX", "Arch": "X86_64" if compiler == "onnx" else "ARM64"},
    }
    if compiler == "none":
        output["CompilerOptions"] = '{"compiler": "none"}'
    request = {
        "CompilationJobName": name,
        "RoleArn": ROLE,
        "InputConfig": {"S3Uri": uri, "Framework": "PYTORCH" if compiler == "none" else "ONNX"},
        "OutputConfig": output,
        "StoppingCondition": {"MaxRuntimeInSeconds": 900},
    }
    if compiler == "onnx":
        request["InputConfig"]["DataInputConfig"] = '{"X": [3, 2]}'  # type: ignore[index]
    return Planned(kind=COMPILATION, name=name, request=request, source=source, ends=ends)


def onnx_source() -> bytes:
    """The model of those that are really compiled."""
    return onnx_archive()
