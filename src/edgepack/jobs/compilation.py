"""The compilation job: read the model archive, compile it, write what the compiler left, say where it is."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from edgepack.compilers.base import CompilationRequest, Compiler
from edgepack.compilers.options import parse_compiler_options
from edgepack.compilers.registry import choose
from edgepack.compilers.targets import output_name
from edgepack.database.compilation_jobs import compilation_jobs
from edgepack.database.engine import Database
from edgepack.database.records import CompilationJob
from edgepack.jobs.engine import COMPILATION_QUEUE, COMPILATION_WORKFLOW
from edgepack.jobs.lifecycle import COMPLETED, FAILED
from edgepack.jobs.progress import Pulse
from edgepack.jobs.stored import remove_written
from edgepack.jobs.workflow import Clock, Facts, JobWork
from edgepack.objects.address import S3Address, join_key, parse_object_uri
from edgepack.objects.store import ObjectStore


class CompilationWork(JobWork[CompilationJob]):
    """Runs compilation jobs.

    Args:
        database: Where jobs are.
        store: Where models are read and compiled models written.
        scratch: Folder for a job's files while it runs; what dead workers left there is removed at the start.
        clock: Microseconds since the epoch.
    """

    workflow: ClassVar[str] = COMPILATION_WORKFLOW
    queue: ClassVar[str] = COMPILATION_QUEUE

    def __init__(self, database: Database, *, store: ObjectStore, scratch: Path, clock: Clock) -> None:
        super().__init__(database, compilation_jobs, clock)
        self._store = store
        self._scratch = scratch

    def steps(self) -> list[tuple[str, Callable[[CompilationJob, Facts], Facts]]]:
        """The steps in order; each may run twice and leave one result."""
        return [("compile", self._compile), ("complete", self._complete)]

    def clean_up(self, job: CompilationJob) -> None:
        """Abort the open upload and delete the artifact that this job wrote."""
        remove_written(self._store, target_of(job), upload_id=job.upload_id, owner=job.arn)

    def ending(self, status: str, message: str) -> dict[str, Any]:
        """The end's time and, for a failure, its reason."""
        return {"ended_at": self.clock(), "failure_reason": message if status == FAILED else ""}
