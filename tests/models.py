"""Model archives for tests: small, real, made in memory."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path


def shipped_model(name: str = "mul_1.onnx") -> bytes:
    """One of the tiny ONNX models that onnxruntime ships."""
    return (Path(str(resources.files("onnxruntime"))) / "datasets" / name).read_bytes()


def tar_gz(files: Mapping[str, bytes], *, level: int = 6) -> bytes:
    """A gzip-compressed tar of these files, in this order; the same bytes every time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), level, mtime=0)


def onnx_archive(name: str = "mul_1.onnx") -> bytes:
    """A model archive as Neo takes it: one ONNX file."""
    return tar_gz({"model.onnx": shipped_model(name)})


def compiled_archive(extra: Mapping[str, bytes] | None = None) -> bytes:
    """An archive with the names that a compiler leaves."""
    files = {"compiled.so": b"\x7fELF" + bytes(4096), "compiled.params": bytes(range(256)) * 64, "manifest": b"[]"}
    return tar_gz({**files, **(extra or {})})
