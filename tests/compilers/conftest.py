"""Real and made models, and compilers that misbehave, found as plug-ins are: through entry points."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from compilers import misbehaving
from edgepack.compilers import registry
from edgepack.compilers.base import CompilationRequest


@pytest.fixture(scope="session")
def magika_model() -> Path:
    """Google's file-type classifier: 3 MB, input `bytes` of int32 [?, 2048]."""
    return next(Path(str(resources.files("magika"))).glob("models/**/model.onnx"))


@pytest.fixture
def request_for_arm64() -> CompilationRequest:
    return CompilationRequest(framework="ONNX", target_os="LINUX", target_arch="ARM64")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A model folder and an output folder, both empty."""
    model_dir, output_dir = tmp_path / "model", tmp_path / "output"
    model_dir.mkdir()
    output_dir.mkdir()
    return model_dir, output_dir


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Installs the compilers of `misbehaving` as another distribution would."""
    site = tmp_path / "site"
    metadata = site / "misbehaving-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: misbehaving\nVersion: 1.0\n")
    lines = [f"{name} = misbehaving:{cls.__name__}" for name, cls in misbehaving.COMPILERS.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[edgepack.compilers]", *lines, ""]))
    (site / "misbehaving.py").write_bytes(Path(misbehaving.__file__).read_bytes())
    monkeypatch.syspath_prepend(str(site))
    registry._entry_points.cache_clear()
    yield
    registry._entry_points.cache_clear()
