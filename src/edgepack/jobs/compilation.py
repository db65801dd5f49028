"""The compilation job: read the model archive, compile it, write what the compiler left, say where it is."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
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
from edgepack.jobs.disk_room import DiskRoom
from edgepack.jobs.engine import COMPILATION_QUEUE, COMPILATION_WORKFLOW
from edgepack.jobs.lifecycle import COMPLETED, FAILED
from edgepack.jobs.progress import Pulse
from edgepack.jobs.scratch import scratch_folder
from edgepack.jobs.stored import remove_written
from edgepack.jobs.transfer_writers import Destination, UploadingWriter, aborted_on_error
from edgepack.jobs.workflow import Clock, Facts, JobWork
from edgepack.objects.address import S3Address, join_key, parse_object_uri
from edgepack.objects.info import ObjectInfo
from edgepack.objects.store import ObjectStore
from edgepack.package.scan import scan_archive

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
        scratch: Folder for a job's files while it runs.
        clock: Microseconds since the epoch.
    """

    workflow: ClassVar[str] = COMPILATION_WORKFLOW
    queue: ClassVar[str] = COMPILATION_QUEUE

    def __init__(self, database: Database, *, store: ObjectStore, room: DiskRoom, scratch: Path, clock: Clock) -> None:
        super().__init__(database, compilation_jobs, clock)
        self._store = store
        self._room = room
        self._scratch = scratch

    def steps(self) -> list[tuple[str, Callable[[CompilationJob, Facts], Facts]]]:
        """The steps in order; each may run twice and leave one result."""
        return [("compile", self._compile), ("complete", self._complete)]

    def clean_up(self, job: CompilationJob) -> None:
        """Abort the open upload and delete the artifact that this job wrote."""
        remove_written(self._store, target_of(job.request), upload_id=job.upload_id, owner=job.arn)

    def ending(self, status: str, message: str) -> dict[str, Any]:
        """The end's time and, for a failure, its reason."""
        reason = message[:FAILURE_REASON_MAX] if status == FAILED else ""
        return {"ended_at": self.clock(), "failure_reason": reason}

    def _compile(self, job: CompilationJob, _facts: Facts) -> Facts:
        job = self.advance(job, started_at=job.started_at or self.clock())
        request = compilation_request(job.request)
        compiler = choose(request)
        if job.upload_id is not None:
            self._store.abort_upload(target_of(job.request), job.upload_id)
        source = self._store.head(parse_object_uri(_input(job.request).s3_uri))
        self._room.require(source.size)
        poll = self._poll(job)
        if compiler.copies_archive:
            digest, info = self._pass_through(job, source, poll)
        else:
            with scratch_folder(self._scratch, job.workflow_id) as folder:
                compiled = self._run_compiler(job, compiler, source, folder, poll)
                digest, info = self._write(job, compiled, poll)
        return {"artifact": info.address.uri, "digest": digest}

    def _complete(self, job: CompilationJob, facts: Facts) -> Facts:
        self.change(
            job,
            to=COMPLETED,
            artifact_uri=facts["artifact"],
            artifact_digest=facts["digest"],
            ended_at=self.clock(),
            upload_id=None,
        )
        return {}

    def _poll(self, job: CompilationJob) -> Poll:
        """What is called while work goes on: ends it when the job is stopped or its time is over."""
        pulse = Pulse(self, job, report=lambda _fraction: self._room.require())
        seconds = _runtime_seconds(job.request)

        def poll() -> None:
            pulse()
            if self._runtime_left(job) <= 0:
                raise CompilationTimeoutError(
                    f"ClientError: The job ran longer than MaxRuntimeInSeconds ({seconds}) allows."
                )

        return poll

    def _runtime_left(self, job: CompilationJob) -> float:
        passed = (self.clock() - (job.started_at or job.created_at)) / MICROSECONDS
        return _runtime_seconds(job.request) - passed

    def _run_compiler(
        self, job: CompilationJob, compiler: Compiler, source: ObjectInfo, folder: Path, poll: Poll
    ) -> Path:
        archive, model, output = folder / "model.tar.gz", folder / "model", folder / "output"
        with archive.open("wb") as file:
            for chunk in self._store.stream(source):
                poll()
                file.write(chunk)
        model.mkdir()
        extract_archive(archive, model, poll=poll)
        archive.unlink()
        output.mkdir()
        run_isolated(
            compiler.name,
            model,
            output,
            compilation_request(job.request),
            seconds=self._runtime_left(job),
            poll=poll,
        )
        compiled = folder / "compiled.tar.gz"
        write_archive(output, compiled, poll=poll)
        return compiled

    def _write(self, job: CompilationJob, compiled: Path, poll: Poll) -> tuple[str, ObjectInfo]:
        writer = self._writer(job, compiled.stat().st_size)
        with aborted_on_error(writer):
            copied = _Copied(_read(compiled), writer, poll)
            for _ in copied:
                pass
            return copied.digest, writer.finish(b"", b"", go_on=poll)

    def _pass_through(self, job: CompilationJob, source: ObjectInfo, poll: Poll) -> tuple[str, ObjectInfo]:
        """Check an archive that was compiled elsewhere, and copy it byte for byte; in one pass."""
        writer = self._writer(job, source.size)
        with aborted_on_error(writer), closing(self._store.stream(source)) as chunks:
            copied = _Copied(chunks, writer, poll)
            scan_archive(copied)
            return copied.digest, writer.finish(b"", b"", go_on=poll)

    def _writer(self, job: CompilationJob, size: int) -> UploadingWriter:
        destination = Destination(
            store=self._store,
            target=target_of(job.request),
            kms_key_id=job.request.output_config.kms_key_id,
            owner=job.arn,
            upload_opened=lambda upload_id: self._note_upload(job, upload_id),
        )
        return UploadingWriter(destination, body_size=size)

    def _note_upload(self, job: CompilationJob, upload_id: str) -> None:
        with self.database.write() as connection:
            self.jobs.note(connection, job.id, upload_id=upload_id)


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
