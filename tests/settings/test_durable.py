"""The one way files are written."""

import ast
import os
import stat
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from edgepack import durable


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    durable.write_file(path, b"new", mode=durable.SECRET_FILE_MODE)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_a_failure_leaves_the_old_content_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edgepack.durable.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        durable.write_file(path, b"new", mode=0o600)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_a_folder_is_on_disk_with_those_above_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, fsync = [], os.fsync

    def recording(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    folder = tmp_path / "a" / "b" / "c"
    durable.make_folder(folder)
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    durable.make_folder(folder)
    assert len(synced) == 3
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        durable.make_folder(tmp_path / "file")


SCRATCH_ONLY = Path(str(resources.files("edgepack"))) / "compilers"
"""Compilers write into their job's scratch folder alone, and the next attempt at it begins anew."""

WRITTEN_OTHERWISE = {
    "cli/backup.py _sqlite_copy": "gone with the process",
    "cli/backup_reading.py BackupReader._stored": "synced, file and folders, before the restored folder gets its name",
    "cli/main.py _keep_standard_descriptors": "/dev/null",
    "cli/restore.py _staging": "what is restored, until it gets its name",
    "cli/state.py DataFolder.open": "a lock: its content says nothing",
    "cli/streams.py scratch": "gone with the process",
    "cli/streams.py standard_output": "standard output",
    "cli/terminal.py _discard": "/dev/null",
    "database/snapshots.py copy_sqlite": "a copy for a backup, which is synced when it is written",
    "durable.py replacing": "the one way",
    "jobs/scratch.py Scratch._claimed": "the scratch folder",
    "jobs/scratch.py Scratch.folder": "the scratch folder",
    "objects/embedded.py EmbeddedStore._configure": "commands for the store's shell, which reads them at once",
    "objects/weed_process.py TetheredProcess._keep": "what the store says",
    "objects/weed_process.py lock_folder": "a lock",
}
"""Every place in the code that opens a file for writing and is not `durable.write_file`, and why it need not be."""


def test_whatever_must_survive_is_written_the_one_way() -> None:
    package = Path(str(resources.files("edgepack")))
    paths = [path for path in package.rglob("*.py") if SCRATCH_ONLY not in path.parents]
    found = {place for path in paths for place in places_that_write(path, package)}
    assert found == set(WRITTEN_OTHERWISE)


def places_that_write(path: Path, package: Path) -> Iterator[str]:
    def visit(node: ast.AST, inside: tuple[str, ...]) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            inside = (*inside, node.name)
        if isinstance(node, ast.Call) and writes(node):
            yield f"{path.relative_to(package)} {'.'.join(inside)}".rstrip()
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    yield from visit(ast.parse(path.read_text()), ())


def writes(call: ast.Call) -> bool:
    """Whether a call may open a file for writing."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    text = ast.unparse(call)
    if name in {"write_text", "write_bytes", "touch"} or text.startswith(("shutil.copy", "shutil.move")):
        return True
    if name in {"TemporaryFile", "NamedTemporaryFile", "mkstemp", "mkdtemp", "TemporaryDirectory"}:
        return True
    if name == "open" and text.startswith("os.open("):
        return "O_WRONLY" in text or "O_RDWR" in text
    modes = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return name in {"open", "FileIO"} and any(mode[:1] in {"w", "a", "x"} and len(mode) < 4 for mode in modes)
