"""Options, targets, and which compiler takes what."""

import botocore.session
import msgspec
import pytest
from botocore.model import StringShape
from hypothesis import given
from hypothesis import strategies as st

from edgepack.compilers.base import CompilationError, CompilationRequest
from edgepack.compilers.options import parse_compiler_options
from edgepack.compilers.registry import choose, known_compilers, load_compiler
from edgepack.compilers.targets import PLATFORM_OF_DEVICE, Platform, output_name, platform_of, target_name
from edgepack.errors import ValidationError


def asking(framework: str = "ONNX", device: str | None = None, compiler: str | None = None) -> CompilationRequest:
    options = {} if compiler is None else {"compiler": compiler}
    if device is not None:
        return CompilationRequest(framework=framework, target_device=device, compiler_options=options)
    return CompilationRequest(framework=framework, target_os="LINUX", target_arch="ARM64", compiler_options=options)


def values_of(name: str) -> set[str]:
    shape = botocore.session.get_session().get_service_model("sagemaker").shape_for(name)
    assert isinstance(shape, StringShape)
    return set(shape.enum)


class TestOptions:
    @pytest.mark.parametrize("text", [None, "", "{}"])
    def test_none_are_none(self, text: str | None) -> None:
        assert parse_compiler_options(text) == {}

    def test_all_keys_are_kept(self) -> None:
        text = '{"compiler": "none", "mattr": ["+neon"], "ANDROID_PLATFORM": 28}'
        assert parse_compiler_options(text) == {"compiler": "none", "mattr": ["+neon"], "ANDROID_PLATFORM": 28}

    @given(
        st.one_of(st.none(), st.booleans(), st.integers(0, 9), st.text(), st.lists(st.integers())).map(
            msgspec.json.encode
        )
    )
    def test_other_json_is_refused(self, text: bytes) -> None:
        with pytest.raises(ValidationError, match=r"OutputConfig\.CompilerOptions is not a JSON object"):
            parse_compiler_options(text.decode())

    @pytest.mark.parametrize("text", ["{'mcpu': 'x'}", "{", '{"a": 1} x', "[" * 100_000, '{"a":' * 100_000])
    def test_what_is_not_json_is_refused(self, text: str) -> None:
        with pytest.raises(ValidationError, match="is not a JSON object") as caught:
            parse_compiler_options(text)
        assert "double quotes" in caught.value.advice

    def test_an_unknown_compiler_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(
            ValidationError, match=r"no compiler 'neo'; the compilers here are none, onnxruntime\."
        ) as caught:
            parse_compiler_options('{"compiler": "neo"}')
        assert caught.value.code == "ValidationException"

    @pytest.mark.parametrize("value", ["null", "1", "[]", '["none"]'])
    def test_a_compiler_is_a_string(self, value: str) -> None:
        with pytest.raises(ValidationError, match="must be a string"):
            parse_compiler_options(f'{{"compiler": {value}}}')


class TestTargets:
    def test_every_device_of_the_api_is_known(self) -> None:
        assert set(PLATFORM_OF_DEVICE) == values_of("TargetDevice")

    def test_platforms_are_those_of_the_api_or_marked_as_ours(self) -> None:
        platforms = set(PLATFORM_OF_DEVICE.values())
        assert {platform.arch for platform in platforms} <= values_of("TargetPlatformArch")
        assert {platform.os for platform in platforms} - values_of("TargetPlatformOs") == {
            "WINDOWS",
            "IOS",
        }

    @pytest.mark.parametrize(
        ("key", "request_", "name"),
        [
            ("model.tar.gz", asking(device="rasp4b"), "model-rasp4b.tar.gz"),
            ("a/b.c/resnet.v1.tar.gz", asking(), "resnet.v1-LINUX_ARM64.tar.gz"),
            ("a/model.TGZ", asking(device="ml_c5"), "model-ml_c5.tar.gz"),
            ("a/model", asking(), "model-LINUX_ARM64.tar.gz"),
            ("a/.tar.gz", asking(), "model-LINUX_ARM64.tar.gz"),
            (
                "model.tar.gz",
                CompilationRequest(
                    framework="ONNX", target_os="LINUX", target_arch="ARM64", target_accelerator="NVIDIA"
                ),
                "model-LINUX_ARM64_NVIDIA.tar.gz",
            ),
        ],
    )
    def test_names_are_neos(self, key: str, request_: CompilationRequest, name: str) -> None:
        assert output_name(key, request_) == name

    def test_an_unknown_device_has_a_name_but_no_platform(self) -> None:
        assert target_name(asking(device="toaster")) == "toaster"
        assert platform_of(asking(device="toaster")) is None
        assert platform_of(asking(device="jetson_nano")) == Platform("LINUX", "ARM64", "NVIDIA")


class TestChoice:
    def test_ours_are_there(self) -> None:
        assert known_compilers()[:2] == ("none", "onnxruntime")

    @pytest.mark.parametrize("device", [None, "ml_c5", "ml_m6g", "imx8qm", "sbe_c"])
    def test_onnx_for_a_known_cpu_goes_to_onnx_runtime(self, device: str | None) -> None:
        compiler = choose(asking(device=device))
        assert (compiler.name, compiler.copies_archive) == ("onnxruntime", False)

    @pytest.mark.parametrize("framework", ["XGBOOST", "ONNX", "MXNET"])
    def test_passing_through_is_always_possible(self, framework: str) -> None:
        compiler = choose(asking(framework, "jetson_nano", compiler="none"))
        assert (compiler.name, compiler.copies_archive) == ("none", True)

    @pytest.mark.parametrize(
        ("request_", "because"),
        [
            (asking("MXNET"), "onnxruntime: it takes ONNX models, not MXNET; export the model to ONNX"),
            (asking(device="rasp4b"), r"not for rasp4b \(LINUX_ARM_EABIHF\)"),
            (asking(device="jetson_nano"), r"not for jetson_nano \(LINUX_ARM64_NVIDIA\)"),
            (asking(device="toaster"), "not for toaster;"),
        ],
    )
    def test_where_nobody_can_the_ways_out_are_named(self, request_: CompilationRequest, because: str) -> None:
        with pytest.raises(CompilationError, match=f"^ClientError: No compiler takes framework .*{because}") as caught:
            choose(request_)
        assert "frameworks that can be compiled here: ONNX" in caught.value.message
        assert 'pass it through with CompilerOptions {"compiler": "none"}' in caught.value.message

    def test_a_compiler_asked_for_by_name_says_why_not(self) -> None:
        with pytest.raises(CompilationError, match="'onnxruntime' cannot compile this model: it takes ONNX models"):
            choose(asking("KERAS", compiler="onnxruntime"))

    @pytest.mark.usefixtures("plugins")
    def test_plugins_are_found_and_come_after_ours(self) -> None:
        assert known_compilers()[:3] == ("none", "onnxruntime", "crashes")
        assert choose(asking("MXNET", compiler="hangs")).name == "hangs"
        assert choose(asking()).name == "onnxruntime"

    def test_an_unknown_name_is_refused(self) -> None:
        with pytest.raises(CompilationError, match="there are none, onnxruntime"):
            load_compiler("neo")

    def test_without_onnx_runtime_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        with pytest.raises(CompilationError, match=r"install edgepack\[onnx\]"):
            choose(asking())
