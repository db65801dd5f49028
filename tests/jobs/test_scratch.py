"""Scratch folders: gone with their job, gone with their worker, and never taken from one that lives."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgepack.jobs.scratch import Scratch, ScratchError

ANOTHER_WORKER = """
import sys, time
from pathlib import Path
from edgepack.jobs.scratch import Scratch
with Scratch(Path(sys.argv[1])).folder("workflow") as folder:
    (folder / "model").write_bytes(bytes(1000))
    print(folder, flush=True)
    time.sleep(600)
"""


def entries(parent: Path) -> list[Path]:
    return sorted(parent.iterdir())


def test_a_job_s_folder_is_private_and_goes_with_it(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "data" / "scratch")
    with scratch.folder("first") as folder:
        (folder / "model").write_bytes(b"weights")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder.parent.stat().st_mode & 0o777 == 0o700
        assert scratch.parent.stat().st_mode & 0o777 == 0o700
        with scratch.folder("second") as another:
            assert another.parent == folder.parent
    assert not folder.exists()
    assert entries(scratch.parent) == [folder.parent]
    scratch.close()
    assert entries(scratch.parent) == []
    scratch.close()


def test_a_job_that_fails_leaves_nothing(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "scratch")
    with pytest.raises(ZeroDivisionError), scratch.folder("first") as folder:
        raise ZeroDivisionError
    assert not folder.exists()
    with pytest.raises(ScratchError, match="no room left"), scratch.folder("second") as folder:
        raise OSError(28, "No space left on device")
    assert not folder.exists()


def test_what_a_killed_worker_left_is_swept_and_what_a_frozen_one_has_is_not(tmp_path: Path) -> None:
    parent = tmp_path / "scratch"
    started = [
        subprocess.Popen([sys.executable, "-c", ANOTHER_WORKER, parent], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        folders = []
        for process in started:
            assert process.stdout is not None
            folders.append(Path(process.stdout.readline().strip()))
        killed, frozen = started
        frozen.send_signal(signal.SIGSTOP)
        mine = Scratch(parent)
        with mine.folder("mine") as folder:
            assert mine.sweep() == 0
            killed.kill()
            killed.wait(60)
            assert Scratch(parent).sweep() == 1
            assert not folders[0].parent.exists()
            assert (folders[1] / "model").stat().st_size == 1000
            assert folder.exists()
    finally:
        for process in started:
            process.kill()
            process.wait(60)
            assert process.stdout is not None
            process.stdout.close()
    mine.close()
    assert Scratch(parent).sweep() == 1
    assert entries(parent) == []


def test_only_folders_are_swept_and_links_are_not_followed(tmp_path: Path) -> None:
    parent, elsewhere = tmp_path / "scratch", tmp_path / "elsewhere"
    for folder in (parent, elsewhere):
        folder.mkdir()
    (parent / "link").symlink_to(elsewhere)
    (parent / "file").touch()
    assert Scratch(parent).sweep() == 0
    assert elsewhere.exists()


def test_there_may_be_nothing_to_sweep(tmp_path: Path) -> None:
    assert Scratch(tmp_path / "none").sweep() == 0


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "scratch").touch()
    with pytest.raises(ScratchError, match="cannot be swept"):
        Scratch(tmp_path / "scratch").sweep()
