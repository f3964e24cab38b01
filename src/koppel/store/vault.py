"""Keys and sealing: what is secret or personal lies encrypted in the store, and what is compared lies as keyed digests.

One workspace key file (32 random bytes, mode 0600) wraps everything. Personal payloads of the trail are sealed under a key
per subject, itself sealed here; destroying that row erases the subject and leaves the chain valid (law 12).
"""

from __future__ import annotations

import base64
import os
import stat
from hashlib import blake2b
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from koppel.model.problem import SetupError
from koppel.model.values import Json

KEY_BYTES = 32
DIGEST_TAG = "1"  # digest algorithm: keyed blake2b, 15 bytes, base64url
_ENCODER = msgspec.json.Encoder(order="sorted")


def canonical(value: Json) -> bytes:
    """Canonical JSON: sorted keys, no white space. What digests and hashes are taken of."""
    return _ENCODER.encode(value)


def create_key(path: Path) -> bytes:
    """Make a new key file, mode 0600. Raises SetupError when one exists already."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SetupError(
            f"The workspace key {path} exists already.", remedy="Keep it: the store cannot be read without it."
        ) from None
    key = os.urandom(KEY_BYTES)
    with os.fdopen(handle, "wb") as file:
        file.write(base64.b64encode(key) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def read_key(path: Path) -> bytes:
    """Read a key file. Raises SetupError when it is missing, damaged or readable by others."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_bytes().strip()
    except FileNotFoundError:
        raise SetupError(
            f"The workspace key {path} is missing.",
            remedy="Put the key file back from your backup; without it the store cannot be read.",
        ) from None
    if mode & 0o077:
        raise SetupError(
            f"The workspace key {path} can be read by others (mode {mode:04o}).", remedy=f"Run: chmod 600 {path}"
        )
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise SetupError(f"The workspace key {path} is damaged.", remedy="Put the key file back from your backup.")
    return key


class Vault:
    """Seals and digests with one workspace key. `random_bytes` is replaced in simulation, for replay."""

    def __init__(self, key: bytes, *, random_bytes: object = os.urandom) -> None:
        self._random = random_bytes
        self._aead = AESGCM(blake2b(key, person=b"koppel-seal", digest_size=32).digest())
        self._digest_key = blake2b(key, person=b"koppel-digest", digest_size=32).digest()

    def random(self, count: int) -> bytes:
        """`count` random bytes."""
        return self._random(count)  # type: ignore[operator]

    def seal(self, plain: bytes, *, about: str = "") -> str:
        """Encrypt; `about` binds the ciphertext to its place. Text, so that it can travel inside JSON."""
        nonce = self.random(12)
        return base64.b64encode(nonce + self._aead.encrypt(nonce, plain, about.encode())).decode()

    def unseal(self, sealed: str, *, about: str = "") -> bytes:
        """Decrypt. Raises SetupError when the key does not fit or the text was altered."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._aead.decrypt(raw[:12], raw[12:], about.encode())
        except (InvalidTag, ValueError):  # ValueError: not even text that `seal` could have made
            raise SetupError(
                "The workspace key does not fit this store, or the store was altered.",
                remedy="Put back the key file that belongs to it.",
            ) from None

    def seal_json(self, value: Json, *, about: str = "") -> str:
        """Seal a plain JSON value."""
        return self.seal(msgspec.json.encode(value), about=about)

    def unseal_json(self, sealed: str, *, about: str = "") -> Json:
        """The value `seal_json` sealed."""
        return msgspec.json.decode(self.unseal(sealed, about=about))

    def digest(self, data: bytes) -> str:
        """Keyed digest: equal data, equal digest; without the key it says nothing (phone numbers have little entropy)."""
        return (
            DIGEST_TAG + base64.urlsafe_b64encode(blake2b(data, key=self._digest_key, digest_size=15).digest()).decode()
        )

    def digest_key(self, kind: str, value: str) -> str:
        """Digest of one match key."""
        return self.digest(f"{kind}\0{value}".encode())


def seal_under(key: bytes, plain: bytes, nonce: bytes) -> bytes:
    """Seal under a subject's own key."""
    return nonce + AESGCM(key).encrypt(nonce, plain, None)


def unseal_under(key: bytes, sealed: bytes) -> bytes:
    """Unseal under a subject's own key. Raises InvalidTag."""
    return AESGCM(key).decrypt(sealed[:12], sealed[12:], None)
