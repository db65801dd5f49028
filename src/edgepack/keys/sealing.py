"""Sealing: how secrets rest in the database, and how tokens leave the server and come back unread and unchanged.

XAES-256-GCM (C2SP specification `XAES-256-GCM`): AES-256-GCM under a key derived for each message, so that random
nonces stay safe for as many messages as anyone will ever seal; plain AES-GCM allows 2^32 under one key (NIST SP
800-38D, section 8.3).
"""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.cmac import CMAC

from edgepack.durable import SECRET_FILE_MODE, write_file
from edgepack.errors import StateError
from edgepack.keys.folder import KEYS_FOLDER, locked_keys_folder

SEALING_KEY = "sealing.key"

KEY_SIZE = 32
"""Bytes of the sealing key: AES-256."""

NONCE_SIZE = 24
"""Bytes drawn for each message: 12 select its key, 12 are its AES-GCM nonce (XAES-256-GCM)."""

TAG_SIZE = 16
"""Bytes of the authentication tag."""

VERSION = b"\x01"
"""First byte of everything sealed; another way to seal takes another one."""


class SealError(StateError):
    """The sealing key is unusable, or is not the one that the sealed bytes were made with, or those were altered."""

    code = "SealBroken"
    advice = (
        "Use the folder `keys` that belongs to this database: copy it from the server that was started first, or "
        "restore it from a backup."
    )


class SecretBox:
    """Seals and unseals with one key.

    Args:
        key: `KEY_SIZE` bytes.

    Raises:
        SealError: The key has another size.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise SealError(f"The sealing key has {len(key)} bytes in place of {KEY_SIZE}.")
        self._key = AES256(key)

    def __repr__(self) -> str:
        return "<SecretBox>"

    @classmethod
    def open(cls, data: Path) -> "SecretBox":
        """The data folder's box; its key is made if there is none yet.

        Safe to call from any number of processes at once: one makes the key, the others wait and read it.

        Args:
            data: The data folder; created when missing.

        Raises:
            SealError: The key is there but cannot be used. It is never replaced.
            StateError: The folder cannot be written.
        """
        path = data / KEYS_FOLDER / SEALING_KEY
        try:
            if not path.exists():
                _create(data)
        except OSError as error:
            raise StateError(f"The sealing key cannot be made at {path}: {error.strerror}.") from error
        return cls.load(data)

    @classmethod
    def load(cls, data: Path) -> "SecretBox":
        """The data folder's box.

        Raises:
            SealError: There is no key, or it cannot be used.
        """
        path = data / KEYS_FOLDER / SEALING_KEY
        try:
            return cls(path.read_bytes())
        except OSError as error:
            raise SealError(f"The sealing key {path} cannot be read: {error.strerror}.") from error
        except SealError as error:
            raise SealError(f"{path} is damaged: {error.message}") from None

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
        """Encrypt and authenticate.

        Args:
            plaintext: The secret.
            context: What it belongs to. Not stored, but needed again, the same, to unseal.

        Returns:
            Version, nonce, ciphertext and tag: `len(plaintext) + 41` bytes.
        """
        nonce = os.urandom(NONCE_SIZE)
        return VERSION + nonce + self._cipher(nonce).encrypt(nonce[12:], plaintext, VERSION + context)

    def unseal(self, sealed: bytes, *, context: bytes) -> bytes:
        """The plaintext.

        Raises:
            SealError: `sealed` was not made by `seal` with this key and this context, or was altered since.
        """
        if len(sealed) < len(VERSION) + NONCE_SIZE + TAG_SIZE or not sealed.startswith(VERSION):
            raise SealError("The sealed bytes are not in a form that this edgepack makes.")
        nonce, ciphertext = sealed[1 : 1 + NONCE_SIZE], sealed[1 + NONCE_SIZE :]
        try:
            return self._cipher(nonce).decrypt(nonce[12:], ciphertext, VERSION + context)
        except InvalidTag:
            raise SealError("The sealed bytes were altered, or sealed with another key or for another use.") from None

    def _cipher(self, nonce: bytes) -> AESGCM:
        first, second = (self._derived(b"\x00" + counter + b"X\x00" + nonce[:12]) for counter in (b"\x01", b"\x02"))
        return AESGCM(first + second)

    def _derived(self, block: bytes) -> bytes:
        cmac = CMAC(self._key)
        cmac.update(block)
        return cmac.finalize()


def _create(data: Path) -> None:
    with locked_keys_folder(data) as folder:
        if not (folder / SEALING_KEY).exists():
            write_file(folder / SEALING_KEY, os.urandom(KEY_SIZE), mode=SECRET_FILE_MODE)
