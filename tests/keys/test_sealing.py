"""Sealing: the published algorithm, bound to its context, with a key that is made once and never replaced."""

import fcntl
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack import durable
from edgepack.errors import StateError
from edgepack.keys.sealing import KEY_SIZE, NONCE_SIZE, SealError, SecretBox, _create
from edgepack.keys.signing import ensure_signing_keys

BOX = SecretBox(bytes(range(KEY_SIZE)))
KEY_FILE = Path("keys") / "sealing.key"


@pytest.mark.parametrize(
    ("key", "additional", "sealed"),
    [
        (b"\x01", b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (b"\x03", b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
    ],
)
def test_the_cipher_is_xaes_256_gcm(key: bytes, additional: bytes, sealed: str) -> None:
    # Both vectors are from the C2SP specification; the second one has a derivation constant with the top bit set.
    nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX"
    cipher = SecretBox(key * KEY_SIZE)._cipher(nonce)
    assert cipher.encrypt(nonce[12:], b"XAES-256-GCM", additional).hex() == sealed


@given(plaintext=st.binary(max_size=300), context=st.binary(max_size=50))
def test_what_is_sealed_comes_back(plaintext: bytes, context: bytes) -> None:
    sealed = BOX.seal(plaintext, context=context)
    assert len(sealed) == 1 + NONCE_SIZE + len(plaintext) + 16
    assert BOX.unseal(sealed, context=context) == plaintext


@given(plaintext=st.binary(max_size=60), data=st.data())
def test_any_altered_bit_is_refused(plaintext: bytes, data: st.DataObject) -> None:
    sealed = bytearray(BOX.seal(plaintext, context=b"c"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealError):
        BOX.unseal(bytes(sealed), context=b"c")


@given(st.binary(max_size=80))
def test_made_up_bytes_are_refused(made_up: bytes) -> None:
    with pytest.raises(SealError):
        BOX.unseal(made_up, context=b"c")


def test_another_context_or_key_is_refused() -> None:
    sealed = BOX.seal(b"secret", context=b"access-key:A")
    with pytest.raises(SealError):
        BOX.unseal(sealed, context=b"access-key:B")
    with pytest.raises(SealError):
        SecretBox(bytes(KEY_SIZE)).unseal(sealed, context=b"access-key:A")


def test_the_same_secret_is_never_sealed_alike() -> None:
    assert len({BOX.seal(b"secret", context=b"c") for _ in range(100)}) == 100


def test_the_first_start_makes_a_key_that_only_the_owner_reads(tmp_path: Path) -> None:
    sealed = SecretBox.open(tmp_path / "data").seal(b"secret", context=b"c")
    found = (tmp_path / "data" / KEY_FILE).stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_size == KEY_SIZE
    assert stat.S_IMODE((tmp_path / "data" / "keys").stat().st_mode) == 0o700
    assert SecretBox.open(tmp_path / "data").unseal(sealed, context=b"c") == b"secret"


def test_processes_that_start_at_once_agree_on_the_key(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from edgepack.keys.sealing import SecretBox; sys.stdin.read();"
        "print(SecretBox.open(Path(sys.argv[1])).seal(b'x', context=b'c').hex())"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    sealed = [bytes.fromhex(process.communicate()[0]) for process in processes]
    box = SecretBox.open(tmp_path)
    assert [box.unseal(one, context=b"c") for one in sealed] == [b"x"] * 4


def is_locked(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_keys_are_made_under_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = []

    def write_file(path: Path, data: bytes, *, mode: int) -> None:
        locked.append(is_locked(path.parent))
        durable.write_file(path, data, mode=mode)

    monkeypatch.setattr("edgepack.keys.sealing.write_file", write_file)
    monkeypatch.setattr("edgepack.keys.signing.write_file", write_file)
    SecretBox.open(tmp_path)
    ensure_signing_keys(tmp_path, now=datetime.now(UTC))
    assert locked == [True] * 5
    assert not is_locked(tmp_path / "keys")


def test_a_key_made_while_waiting_for_the_lock_is_kept(tmp_path: Path) -> None:
    SecretBox.open(tmp_path)
    before = (tmp_path / KEY_FILE).read_bytes()
    _create(tmp_path)
    assert (tmp_path / KEY_FILE).read_bytes() == before


def test_a_damaged_key_is_told_and_kept(tmp_path: Path) -> None:
    SecretBox.open(tmp_path)
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(SealError, match=r"sealing\.key is damaged: .* 5 bytes in place of 32"):
        SecretBox.open(tmp_path)
    assert (tmp_path / KEY_FILE).read_bytes() == b"short"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(StateError, match="cannot be made"):
        SecretBox.open(tmp_path / "data")


def test_the_key_is_not_shown() -> None:
    assert repr(BOX) == "<SecretBox>"
