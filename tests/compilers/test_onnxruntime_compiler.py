"""ONNX models through the real compiler: same predictions, same bytes, and clear words where it cannot be."""

import hashlib
import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compilers.onnx_models import affine, model_of, predict, save_external, with_location
from edgepack.compilers.archive import write_archive
from edgepack.compilers.base import CompilationError, CompilationRequest
from edgepack.compilers.input_shapes import check_input_shapes, parse_input_shapes
from edgepack.compilers.isolation import run_isolated
from edgepack.compilers.onnxruntime import OnnxRuntime

Folders = tuple[Path, Path]
TOLERANCE = 1e-6
"""Of probabilities and sums of a few terms: fusion changes the order of float32 operations, by some 2e-7 here."""


def put(folders: Folders, model: onnx.ModelProto | bytes, name: str = "model.onnx") -> None:
    path = folders[0] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())


def compile_(folders: Folders, shapes: str | None = None) -> Path:
    request = CompilationRequest(
        framework="ONNX", target_os="LINUX", target_arch="ARM64", data_input_config=shapes, compiler_options={}
    )
    assert OnnxRuntime().refuses(request) is None
    OnnxRuntime().compile(*folders, request)
    return folders[1] / "compiled.onnx"


def refusal(folders: Folders, shapes: str | None = None) -> str:
    with pytest.raises(CompilationError) as caught:
        compile_(folders, shapes)
    assert caught.value.message.startswith("ClientError: ")
    return caught.value.message


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_real_model_predicts_the_same(folders: Folders, magika_model: Path) -> None:
    shutil.copy(magika_model, folders[0])
    compiled = compile_(folders)
    for seed in range(3):
        sample = np.random.default_rng(seed).integers(0, 257, (2, 2048), dtype=np.int32)
        (before,), (after,) = predict(magika_model, bytes=sample), predict(compiled, bytes=sample)
        assert before.shape == (2, 214)
        np.testing.assert_allclose(after, before, rtol=0, atol=TOLERANCE)


def test_something_is_optimised_and_constants_are_folded(folders: Folders) -> None:
    put(folders, affine())
    compiled = onnx.load(compile_(folders))
    assert [node.op_type for node in compiled.graph.node] == ["MatMul", "Relu"]


def test_the_same_model_gives_the_same_bytes_isolated_or_not(
    tmp_path: Path, folders: Folders, magika_model: Path, request_for_arm64: CompilationRequest
) -> None:
    shutil.copy(magika_model, folders[0] / "net.onnx")
    (folders[0] / "labels.txt").write_text("a\n")
    digests = set()
    for run in range(2):
        output = tmp_path / f"out{run}"
        output.mkdir()
        run_isolated(
            "onnxruntime",
            folders[0],
            output,
            request_for_arm64,
            seconds=60,
            poll=lambda: None,
            hidden=folders[0].parent,
        )
        write_archive(output, tmp_path / "out.tar.gz")
        digests.add(hashlib.sha256((tmp_path / "out.tar.gz").read_bytes()).hexdigest())
    compile_(folders)
    write_archive(folders[1], tmp_path / "out.tar.gz")
    digests.add(hashlib.sha256((tmp_path / "out.tar.gz").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_members_and_what_they_say(folders: Folders) -> None:
    put(folders, affine(), "nets/net.onnx")
    put(folders, b"cat\ndog\n", "assets/labels.txt")
    compile_(folders)
    output = folders[1]
    assert names_in(output) == ["assets/labels.txt", "compiled.meta", "compiled.onnx", "manifest"]
    assert (output / "assets" / "labels.txt").read_bytes() == b"cat\ndog\n"
    meta = json.loads((output / "compiled.meta").read_text())
    assert meta["Model"]["Inputs"] == [{"name": "x", "dtype": "float", "shape": ["N", 4]}]
    assert meta["Requirements"] == {"TargetDevice": "LINUX_ARM64", "TargetDeviceType": "cpu"}
    for entry in json.loads((output / "manifest").read_text()):
        content = (output / entry["path"]).read_bytes()
        assert (entry["size"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


class TestExternalData:
    def test_weights_outside_the_model_are_gathered(self, folders: Folders) -> None:
        save_external(affine(), folders[0] / "deep" / "net.onnx", "weights.bin")
        put(folders, b"kept", "weights.txt")
        compiled = compile_(folders)
        assert names_in(folders[1]) == ["compiled.meta", "compiled.onnx", "compiled.params", "manifest", "weights.txt"]
        sample = np.ones((3, 4), np.float32)
        (before,), (after,) = predict(folders[0] / "deep" / "net.onnx", x=sample), predict(compiled, x=sample)
        np.testing.assert_allclose(after, before, rtol=0, atol=TOLERANCE)
        listed = [entry["path"] for entry in json.loads((folders[1] / "manifest").read_text())]
        assert listed == ["compiled.onnx", "compiled.params", "compiled.meta"]

    def test_the_compiled_model_needs_nothing_else(self, folders: Folders, tmp_path: Path) -> None:
        save_external(affine(), folders[0] / "net.onnx", "weights.bin")
        compile_(folders)
        shutil.rmtree(folders[0])
        moved = folders[1].rename(tmp_path / "elsewhere")
        assert predict(moved / "compiled.onnx", x=np.ones((1, 4), np.float32))[0].shape == (1, 1024)

    @pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "gone.bin", "a/../../secret", ""])
    def test_files_outside_the_archive_are_not_read(self, folders: Folders, location: str) -> None:
        (folders[0].parent / "secret").write_bytes(bytes(4 * 4096))
        put(folders, with_location(affine(), location))
        assert "external data file" in refusal(folders)
        assert names_in(folders[1]) == []

    def test_weights_that_are_cut_short_are_refused(self, folders: Folders) -> None:
        put(folders, with_location(affine(), "w.bin"))
        put(folders, bytes(100), "w.bin")
        assert "ONNX Runtime cannot load the model" in refusal(folders)


class TestDataInputConfig:
    def test_free_dimensions_are_fixed(self, folders: Folders, magika_model: Path) -> None:
        shutil.copy(magika_model, folders[0])
        compiled = compile_(folders, '{"bytes": [1, 2048]}')
        (dim0, dim1) = onnx.load(compiled).graph.input[0].type.tensor_type.shape.dim
        assert (dim0.dim_value, dim1.dim_value) == (1, 2048)
        meta = json.loads((folders[1] / "compiled.meta").read_text())
        assert [value["shape"] for value in (*meta["Model"]["Inputs"], *meta["Model"]["Outputs"])] == [
            [1, 2048],
            [1, 214],
        ]
        sample = np.random.default_rng(0).integers(0, 257, (1, 2048), dtype=np.int32)
        np.testing.assert_allclose(
            predict(compiled, bytes=sample)[0], predict(magika_model, bytes=sample)[0], rtol=0, atol=TOLERANCE
        )

    @pytest.mark.parametrize("declared", [[None, None], ["?", "?"], ["N", "M"], None, [0, 4], [-1, 4]])
    def test_however_the_model_leaves_them_open(
        self, folders: Folders, declared: list[int | str | None] | None
    ) -> None:
        put(folders, affine({"x": declared}))
        compiled = onnx.load(compile_(folders, '{"x": [7, 4]}'))
        assert [dim.dim_value for dim in compiled.graph.input[0].type.tensor_type.shape.dim] == [7, 4]

    def test_without_one_they_stay_free(self, folders: Folders) -> None:
        put(folders, affine())
        assert onnx.load(compile_(folders)).graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"

    @pytest.mark.parametrize(
        ("shapes", "words"),
        [
            ('{"data": [1, 4]}', "names the input 'data', which the model does not have; its inputs are 'x'"),
            ('{"x": [1, 5]}', "gives 'x' the shape [1, 5], but the model declares [?, 4]"),
            ('{"x": [1]}', "gives 'x' the shape [1], but the model declares [?, 4]"),
            ('{"x": [0, 4]}', "is not a JSON object of input names and shapes"),
            ('{"x": [1.5, 4]}', "is not a JSON object of input names and shapes"),
            ('{"x": 4}', "is not a JSON object of input names and shapes"),
            ("[[1, 4]]", "is not a JSON object of input names and shapes"),
            ("{'x': [1, 4]}", "is not a JSON object of input names and shapes"),
            ("[" * 16_000, "is not a JSON object of input names and shapes"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, folders: Folders, shapes: str, words: str) -> None:
        put(folders, affine())
        assert f"ClientError: InputConfiguration: DataInputConfig {words}" in refusal(folders, shapes)

    def test_all_inputs_are_given_or_none(self) -> None:
        with pytest.raises(CompilationError, match="leaves out the model's input 'b'; its inputs are 'a', 'b'"):
            check_input_shapes(parse_input_shapes('{"a": [1]}'), {"a": (None,), "b": (None,)})
        assert check_input_shapes({}, {"a": (None,)}) == {}

    def test_shapes_that_break_the_graph_are_refused(self, folders: Folders) -> None:
        put(folders, affine({"x": None}))
        assert "MatMul" in refusal(folders, '{"x": [1, 9]}')


class TestRefusals:
    def test_no_model(self, folders: Folders) -> None:
        put(folders, b"x", "model.pb")
        assert refusal(folders) == "ClientError: InputConfiguration: No onnx file provided in the model archive."

    def test_two_models(self, folders: Folders) -> None:
        put(folders, affine())
        put(folders, affine(), "other/B.ONNX")
        assert "Exactly one .onnx file is allowed for ONNX models, not 2." in refusal(folders)

    @pytest.mark.parametrize("data", [b"", b"\x00" * 100, b"not a model", affine().SerializeToString()[:-7]])
    def test_bytes_that_are_no_model(self, folders: Folders, data: bytes) -> None:
        put(folders, data)
        assert "The .onnx file is not a valid ONNX model" in refusal(folders)

    def test_an_operator_that_does_not_exist(self, folders: Folders) -> None:
        value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
        out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
        put(folders, model_of(helper.make_graph([helper.make_node("Frobnicate", ["x"], ["y"])], "g", [value], [out])))
        assert "Frobnicate" in refusal(folders)

    @pytest.mark.parametrize("name", ["sagemaker_edge_manifest", "compiled.meta", "manifest", "compiled.params"])
    def test_names_that_mean_something_else(self, folders: Folders, name: str) -> None:
        put(folders, affine())
        put(folders, b"mine", name)
        assert f"must not hold a file named {name!r}" in refusal(folders)

    def test_the_model_itself_may_have_the_outputs_name(self, folders: Folders) -> None:
        put(folders, affine(), "compiled.onnx")
        assert compile_(folders).exists()

    def test_a_refusal_survives_isolation_word_for_word(
        self, folders: Folders, request_for_arm64: CompilationRequest
    ) -> None:
        put(folders, affine())
        wrong = msgspec.structs.replace(request_for_arm64, data_input_config='{"ä": [1]}')
        with pytest.raises(CompilationError, match="names the input 'ä'"):
            run_isolated("onnxruntime", *folders, wrong, seconds=60, poll=lambda: None, hidden=folders[0].parent)
