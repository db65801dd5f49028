"""Who takes part in the packaging benchmark, in the order of its tables."""

import subprocess
import sys
from pathlib import Path

from floors import COMMANDS, HASHING, INFLATING
from measuring import Contender, environment

BIN = Path(sys.executable).parent
EDGEPACK_PROGRAM = str(BIN / "edgepack")
FRAME_PROGRAM = str(Path(__file__).with_name("frame.py"))

FRAME = "scan, sign, frame (store copies)"
EDGEPACK, PIPED, VERIFY = "edgepack package", "edgepack package --out -", "edgepack verify"
COPY, TAR, MODEL_SIGNING = "cp + sync", "tar czf + openssl -sign", "model_signing sign"
START = "edgepack --version"
PACKAGE_SMALLEST, VERIFY_SMALLEST = "edgepack package of 1 byte", "edgepack verify of 1 byte"

PACKAGE = (EDGEPACK_PROGRAM, "package", "model.tar.gz", "--name", "model", "--version", "1.0", "--data", "data")
SIGNED = "signed.tar.gz"
"""The package that is verified."""

VERIFY_COMMAND = (EDGEPACK_PROGRAM, "verify", SIGNED, "--trust", "data/keys/root.pem")
COPY_COMMAND = "cp model.tar.gz copy.tar.gz && sync copy.tar.gz"
TAR_COMMAND = (
    "tar czf baseline.tar.gz -C model . && openssl dgst -sha256 -sign key.pem -out baseline.sig baseline.tar.gz"
)


def contenders() -> list[Contender]:
    """Everyone but `starting`."""
    sign = (str(BIN / "model_signing"), "sign", "key", "model", "--private_key", "key.pem", "--signature", "model.sig")
    return [
        Contender(HASHING, COMMANDS[HASHING]),
        Contender(INFLATING, COMMANDS[INFLATING]),
        Contender(FRAME, (sys.executable, FRAME_PROGRAM, "model.tar.gz", "frame", "data"), ("frame",)),
        Contender(EDGEPACK, (*PACKAGE, "--out", "package.tar.gz"), ("package.tar.gz",)),
        Contender(PIPED, (*PACKAGE, "--out", "-")),
        Contender(VERIFY, VERIFY_COMMAND),
        Contender(COPY, ("sh", "-c", COPY_COMMAND), ("copy.tar.gz",)),
        Contender(TAR, ("sh", "-c", TAR_COMMAND), ("baseline.tar.gz", "baseline.sig"), slow=True),
        Contender(MODEL_SIGNING, sign, ("model.sig",), slow=True),
    ]


def starting() -> list[Contender]:
    """The commands with next to nothing to do: what they cost besides their work."""
    return [
        Contender(START, (EDGEPACK_PROGRAM, "--version")),
        Contender(PACKAGE_SMALLEST, (*PACKAGE, "--out", "package.tar.gz"), ("package.tar.gz",)),
        Contender(VERIFY_SMALLEST, VERIFY_COMMAND),
    ]


def prepare(folder: Path) -> None:
    """Make the keys and the package that is verified, and have Python compile what it has not compiled yet."""
    key = ("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem")
    for command in (key, (*PACKAGE, "--out", SIGNED)):
        subprocess.run(command, cwd=folder, env=environment(), check=True, stdout=subprocess.DEVNULL)
    warm(folder)


def warm(folder: Path) -> None:
    """Read everything once: packages are written past the page cache, and it shall not matter what was made last.

    Not here but by other programs: what this process holds is the least that its children are measured with.
    """
    subprocess.run(("sh", "-c", "find . -type f -exec cat {} + > /dev/null"), cwd=folder, check=True)
