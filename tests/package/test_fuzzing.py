"""The fuzzers themselves, for as long as a test run can wait: `make fuzz` looks longer.

They run in an environment of their own, which has atheris.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from fuzz_targets import CORPUS, HERE, check_archive

ROOT = HERE.parent
PYTHON = ROOT / ".venvs" / "atheris" / "bin" / "python"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": os.pathsep.join(str(folder) for folder in (ROOT / "src", ROOT / "tests", HERE)),
    "PYTHONHASHSEED": "0",
}

BOUNDS = ("-seed=1", "-max_total_time=20", "-timeout=20", "-rss_limit_mb=1024", "-max_len=20000")
"""Of each run. A machine that is slow or busy does fewer; that is no failure."""

EDGES_MIN = 200
"""Branches of `edgepack.package` that the corpus takes at the least; without instrumentation there would be none."""

BROKEN = """
import sys
import atheris
import fuzz_archive
from edgepack.package import tar_headers

def kind(flag, name):
    if flag not in (b"0", b"5", bytes(1)):
        raise ZeroDivisionError("planted")
    return right(flag, name)

right, tar_headers._kind = tar_headers._kind, kind
atheris.Setup(sys.argv, fuzz_archive.check_archive, custom_mutator=fuzz_archive.mutated)
atheris.Fuzz()
"""
"""The archive fuzzer, with a reader that breaks on any member but files and folders."""

IN_A_SHELL = ("sh", "-c", '"$@" & wait $!', "sh")
"""Linux counts the peak memory of whoever starts a program for the program's own, and the fuzzers go by that count:
after many tests it is above their bound. It does not reach what a shell forks."""

pytestmark = pytest.mark.fuzzers


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*IN_A_SHELL, str(PYTHON), *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )


def number(pattern: str, log: str) -> int:
    found = re.search(pattern, log)
    assert found is not None, log[-3000:]
    return int(found[1])


@pytest.mark.parametrize(("target", "runs"), [("archive", 30_000), ("package", 60_000)])
def test_nothing_breaks_it(tmp_path: Path, target: str, runs: int) -> None:
    corpus = CORPUS / target
    done = fuzz(
        str(HERE / f"fuzz_{target}.py"),
        *(f"-runs={runs}", *BOUNDS, f"-artifact_prefix={tmp_path}/"),
        *(str(tmp_path), str(corpus)),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert number(r"INITED cov: (\d+)", done.stderr) > EDGES_MIN
    assert number(r"Done (\d+) runs", done.stderr) > len(list(corpus.iterdir()))


def test_a_planted_failure_is_found(tmp_path: Path) -> None:
    """From one seed that does not show it; and what was found shows it again, and nothing to the reader as it is."""
    seeds, found = tmp_path / "seeds", tmp_path / "found"
    seeds.mkdir()
    found.mkdir()
    (seeds / "file").write_bytes((CORPUS / "archive" / "read-old-form").read_bytes())
    done = fuzz("-c", BROKEN, "-runs=100000", *BOUNDS, f"-artifact_prefix={found}/", str(found), str(seeds))
    assert done.returncode != 0
    assert "ZeroDivisionError: planted" in done.stdout + done.stderr
    (crash,) = found.glob("crash-*")
    assert fuzz("-c", BROKEN, str(crash)).returncode != 0
    check_archive(crash.read_bytes())
