"""The compilation job: read the model archive, compile it, write what the compiler left, say where it is."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from edgepack.compilers.archive import extract_archive, write_archive
from edgepack.compilers.base import CompilationRequest, CompilationTimeoutError, Compiler
from edgepack.compilers.isolation import run_isolated
from edgepack.compilers.options import parse_compiler_options
from edgepack.compilers.registry import choose
from edgepack.compilers.targets import output_name
from edgepack.contract.compilation_jobs import CreateCompilationJobRequest, InputConfig
from edgepack.contract.fields import FAILURE_REASON_MAX
from edgepack.database.compilation_jobs import compilation_jobs
from edgepack.database.engine import Database
from edgepack.database.records import MICROSECONDS, CompilationJob
from edgepack.jobs.attempt import Attempt, Clock
from edgepack.jobs.disk_room import DiskRoom
from edgepack.jobs.engine import COMPILATION_QUEUE, COMPILATION_WORKFLOW
from edgepack.jobs.lifecycle import COMPLETED, FAILED
from edgepack.jobs.progress import Checkpoint
from edgepack.jobs.replacing import replace_holder
from edgepack.jobs.scratch import Scratch
from edgepack.jobs.stored import abort_uploads, remove_written
from edgepack.jobs.transfer_destination import Destination
from edgepack.jobs.transfer_writers import UploadingWriter, aborted_on_error
from edgepack.jobs.workflow import JobWork, Step
from edgepack.objects.address import S3Address, join_key, parse_object_uri
from edgepack.objects.info import ObjectInfo
from edgepack.objects.store import ObjectStore
from edgepack.package.scan import scan_archive
from edgepack.telemetry.observers import UNOBSERVED, JobObserver

DEFAULT_RUNTIME_SECONDS = 86_400
"""StoppingCondition.MaxRuntimeInSeconds where it is absent: one day (API_StoppingCondition.html)."""

READ_BYTES = 1 << 20
"""Bytes of one read of a compiled archive from the scratch folder."""

DIGEST_BYTES = 64
"""BLAKE2b's full length: what `b2sum` prints (API_ModelDigests.html: "a BLAKE2 hash value")."""

Poll = Callable[[], None]


class CompilationWork(JobWork[CompilationJob]):
    """Runs compilation jobs.

    Args:
        database: Where jobs are.
        store: Where models are read and compiled models written.
        room: Whether the store's disk has room.
        scratch: Where a job's files are while it runs.
        clock: Microseconds since the epoch.
        observer: Told what the jobs do.
    """

    workflow: ClassVar[str] = COMPILATION_WORKFLOW
    queue: ClassVar[str] = COMPILATION_QUEUE

    def __init__(  # noqa: PLR0913 - keyword-only
        self,
        database: Database,
        *,
        store: ObjectStore,
        room: DiskRoom,
        scratch: Scratch,
        clock: Clock,
        observer: JobObserver = UNOBSERVED,
    ) -> None:
        super().__init__(database, compilation_jobs, clock, observer=observer)
        self.store = store
        self.room = room
        self.scratch = scratch

    def steps(self, attempt: Attempt[CompilationJob]) -> Sequence[Step]:
        """Compile, complete."""
        run = _Run(self, attempt)
        return [("compile", run.compile), ("complete", run.complete)]

    def target(self, job: CompilationJob) -> S3Address:
        """Where the compiled archive goes."""
        return target_of(job.request)

    def clean_up(self, attempt: Attempt[CompilationJob]) -> None:
        """Abort open uploads and delete the artifact that this job wrote."""
        target = target_of(attempt.job.request)
        if remove_written(self.store, target, attempt):
            with attempt.transaction() as connection:
                replace_holder(connection, target.place, by=attempt.job.arn, stands=False, now=self.clock())

    def ending(self, status: str, message: str) -> dict[str, Any]:
        """The end's time and, for a failure, its reason."""
        reason = message[:FAILURE_REASON_MAX] if status == FAILED else ""
        return {"ended_at": self.clock(), "failure_reason": reason}


class _Run:
    """The steps of one attempt, and what each leaves for the next."""

    _checkpoint: Checkpoint
    _replaces: ObjectInfo | None
    _digest: str
    _written: ObjectInfo

    def __init__(self, work: CompilationWork, attempt: Attempt[CompilationJob]) -> None:
        self._work = work
        self._attempt = attempt

    def compile(self) -> None:
        work, attempt = self._work, self._attempt
        attempt.advance(started_at=attempt.job.started_at or work.clock())
        compiler = choose(compilation_request(attempt.job.request))
        target = target_of(attempt.job.request)
        abort_uploads(work.store, target, attempt)
        self._replaces = work.store.find(target)
        source = work.store.head(parse_object_uri(_input(attempt.job.request).s3_uri))
        work.room.require(source.size)
        self._checkpoint = Checkpoint(attempt, report=work.room.require)
        if compiler.copies_archive:
            self._pass_through(source)
            return
        with work.scratch.folder(attempt.job.workflow_id) as folder:
            self._write(self._run_compiler(compiler, source, folder))

    def complete(self) -> None:
        arn, place, now = self._attempt.job.arn, self._written.address.place, self._work.clock()
        self._attempt.change(
            to=COMPLETED,
            within=lambda connection: replace_holder(connection, place, by=arn, stands=True, now=now),
            artifact_uri=self._written.address.uri,
            artifact_digest=self._digest,
            artifact_etag=self._written.etag,
            ended_at=self._work.clock(),
        )

    def _poll(self) -> None:
        """Called while work goes on: ends it when the job is stopped or its time is over."""
        self._checkpoint()
        if self._seconds_left() <= 0:
            seconds = _runtime_seconds(self._attempt.job.request)
            raise CompilationTimeoutError(
                f"ClientError: The job ran longer than MaxRuntimeInSeconds ({seconds}) allows."
            )

    def _seconds_left(self) -> float:
        job = self._attempt.job
        passed = (self._work.clock() - (job.started_at or job.created_at)) / MICROSECONDS
        return _runtime_seconds(job.request) - passed

    def _run_compiler(self, compiler: Compiler, source: ObjectInfo, folder: Path) -> Path:
        model, output, compiled = folder / "model", folder / "output", folder / "compiled.tar.gz"
        model.mkdir()
        with closing(self._work.store.stream(source)) as chunks:
            extract_archive(chunks, model, poll=self._poll)
        self._attempt.bytes_read = source.size
        output.mkdir()
        run_isolated(
            compiler.name,
            model,
            output,
            compilation_request(self._attempt.job.request),
            seconds=self._seconds_left(),
            poll=self._poll,
            hidden=self._work.scratch.parent.parent,
        )
        write_archive(output, compiled, poll=self._poll)
        return compiled

    def _write(self, compiled: Path) -> None:
        writer = self._writer(compiled.stat().st_size)
        with aborted_on_error(writer):
            copied = _Copied(_read(compiled), writer, self._poll)
            for _ in copied:
                pass
            self._finish(copied, writer)

    def _pass_through(self, source: ObjectInfo) -> None:
        """Check an archive that was compiled elsewhere, and copy it byte for byte; in one pass."""
        writer = self._writer(source.size)
        with aborted_on_error(writer), closing(self._work.store.stream(source)) as chunks:
            copied = _Copied(chunks, writer, self._poll)
            scan_archive(copied)
            self._attempt.bytes_read = source.size
            self._finish(copied, writer)

    def _finish(self, copied: "_Copied", writer: UploadingWriter) -> None:
        self._digest = copied.digest
        self._written = writer.finish(bytearray(), b"", go_on=self._poll)
        self._attempt.bytes_written = self._written.size

    def _writer(self, size: int) -> UploadingWriter:
        attempt, request = self._attempt, self._attempt.job.request
        target = target_of(request)
        destination = Destination(
            store=self._work.store,
            target=target,
            kms_key_id=request.output_config.kms_key_id or None,
            mark=attempt.mark,
            replaces=self._replaces,
            upload_opened=lambda upload_id: attempt.note_upload(target, upload_id),
            upload_closed=attempt.forget_upload,
            upload_in_doubt=lambda: attempt.note_leftover(target),
        )
        return UploadingWriter(destination, body_size=size)


class _Copied:
    """Chunks on their way through: each is hashed, written and handed on.

    Args:
        chunks: The chunks.
        writer: Takes each.
        poll: Called before each.
    """

    def __init__(self, chunks: Iterable[bytes], writer: UploadingWriter, poll: Poll) -> None:
        self._chunks = chunks
        self._writer = writer
        self._poll = poll
        self._blake2b = hashlib.blake2b(digest_size=DIGEST_BYTES)

    @property
    def digest(self) -> str:
        """The hex digest of what has passed."""
        return self._blake2b.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._poll()
            self._blake2b.update(chunk)
            self._writer.take(memoryview(chunk))
            yield chunk


def compilation_request(request: CreateCompilationJobRequest) -> CompilationRequest:
    """What a compiler needs to know of a request."""
    source, output, platform = _input(request), request.output_config, request.output_config.target_platform
    return CompilationRequest(
        framework=source.framework,
        framework_version=source.framework_version,
        data_input_config=source.data_input_config,
        target_device=output.target_device,
        target_os=platform.os if platform else None,
        target_arch=platform.arch if platform else None,
        target_accelerator=platform.accelerator if platform else None,
        compiler_options=parse_compiler_options(output.compiler_options),
    )


def target_of(request: CreateCompilationJobRequest) -> S3Address:
    """Where the compiled archive goes: below S3OutputLocation, named as Neo names it."""
    name = output_name(parse_object_uri(_input(request).s3_uri).key, compilation_request(request))
    return join_key(request.output_config.s3_output_location, name)


def _input(request: CreateCompilationJobRequest) -> InputConfig:
    assert request.input_config is not None  # Create refuses a request without it
    return request.input_config


def _runtime_seconds(request: CreateCompilationJobRequest) -> int:
    return request.stopping_condition.max_runtime_in_seconds or DEFAULT_RUNTIME_SECONDS


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(READ_BYTES):
            yield chunk
