"""Who may call an environment: classic tokens, the OTP flow that makes them, and OAuth client credentials.

[MD authentication, OAS /OtpValidation, GS, DG] Tokens are the same for the same seed and order of calls. Time is an argument.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from koppel.systems.afas.sandbox_errors import answer
from koppel.systems.spi import Response

CLIENT_ID = "0f3b6c1e9a5d4f7e8b2c7d6a1e0f4b93"
CLIENT_SECRET = "sandbox+secret/Q7rT="  # noqa: S105  made up; with the marks that must be form-encoded
USER = "12345.koppeling"
ACCESS_LIFE = 3600.0
CLASSIC_END = 1_809_122_400.0  # 1 May 2027 in Amsterdam: classic tokens got this expiry [MD authentication]
OTP_LIFE = 900.0  # unverified
_SKEW, _LONGEST_ASSERTION = 60.0, 300.0
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_CLASSIC = re.compile(r"<token><version>1</version><data>([0-9A-Fa-f]{64})</data></token>")


@dataclass
class Classic:
    """A classic token; `expires` is None for one without an end."""

    data: str
    expires: float | None
    revoked: bool = False

    def good(self, now: float) -> bool:
        """Whether it opens the door now."""
        return not self.revoked and (self.expires is None or self.expires > now)

    @property
    def xml(self) -> str:
        """The token as it is handed out and sent."""
        return f"<token><version>1</version><data>{self.data}</data></token>"


@dataclass
class SignIn:
    """One environment's door. `accepts` is the app connector's authentication type: classic, hybrid or oauth."""

    seed: int
    environment: str
    classic: dict[str, Classic] = field(default_factory=dict)
    access: dict[str, float] = field(default_factory=dict)
    codes: dict[str, float] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)  # jti -> until
    accepts: str = "hybrid"
    secret_expired: bool = False
    public_key: str | None = None
    made: int = 0

    def _secret(self, what: str) -> str:
        self.made += 1
        return hashlib.sha256(f"{self.seed}:{self.environment}:{what}:{self.made}".encode()).hexdigest()

    @property
    def api_key(self) -> str:
        """The app connector's key."""
        return hashlib.sha256(f"{self.seed}:api".encode()).hexdigest()[:32].upper()

    @property
    def environment_key(self) -> str:
        """The environment's key; it is called `apiToken` in the request."""
        return hashlib.sha256(f"{self.seed}:{self.environment}:key".encode()).hexdigest()[:32].upper()

    def new_token(self, expires: float | None = CLASSIC_END) -> Classic:
        """A fresh classic token of the app connector's user."""
        token = Classic(self._secret("token").upper(), expires)
        self.classic[token.data] = token
        return token

    def current(self, now: float) -> Classic:
        """The first classic token that is good now; a fresh one when there is none."""
        good = next((token for token in self.classic.values() if token.good(now)), None)
        return good or self.new_token(CLASSIC_END if now < CLASSIC_END else None)

    def revoke(self, data: str | None) -> int:
        """Revoke one classic token, or every token there is; gives how many."""
        found = [token for token in self.classic.values() if data in {None, token.data} and not token.revoked]
        for token in found:
            token.revoked = True
        gone = len(found)
        if data is None:
            gone += len(self.access)
            self.access.clear()
        return gone

    # --- letting in --------------------------------------------------------------------------------------------

    def admits(self, header: str, now: float) -> Classic | str | None:
        """The classic token or the access token this header carries, when it is good now."""
        scheme, _, value = header.partition(" ")
        if scheme.casefold() == "afastoken" and self.accepts in {"classic", "hybrid"}:
            token = self.classic.get(_data(value.strip()))
            return token if token is not None and token.good(now) else None
        if scheme.casefold() == "bearer" and self.accepts in {"oauth", "hybrid"}:
            return value.strip() if self.access.get(value.strip(), 0.0) > now else None
        return None

    # --- the OTP flow ------------------------------------------------------------------------------------------

    def request_code(self, body: bytes, now: float) -> Response:
        """`OtpRequest`: 201 without a body, also when the keys are wrong; the code goes by e-mail. [GS, DG]"""
        if self._asks(_lower(body)):
            digits = f"{int(self._secret('otp'), 16) % 10**6:06}"
            self.codes[digits] = now + OTP_LIFE
        return Response(201)

    def validate_code(self, body: bytes, now: float) -> Response:
        """`OtpValidation`: the token with a trailing CRLF, or 204 for a wrong code. [OAS /OtpValidation, DG]"""
        asked = _lower(body)
        code = str(asked.get("otp", ""))
        if not self._asks(asked) or self.codes.pop(code, 0.0) <= now:
            return Response(204)
        return answer(200, {"token": self.new_token().xml + "\r\n"})

    def _asks(self, asked: Mapping[str, Any]) -> bool:
        """Examples spell `userId` and `userid`: names in any case."""
        given = (asked.get("apikey"), asked.get("apitoken"), asked.get("userid"))
        return given == (self.api_key, self.environment_key, USER)

    # --- OAuth -------------------------------------------------------------------------------------------------

    def token(self, body: bytes, headers: Mapping[str, str], audience: frozenset[str], now: float) -> Response:
        """`oauth/token` with client credentials; no refresh token in this flow."""
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        form = dict(pairs)
        basic = headers.get("authorization", "")
        with_basic = basic.partition(" ")[0].casefold() == "basic"
        methods = with_basic + ("client_secret" in form) + ("client_assertion" in form)
        if len(pairs) != len(form) or methods > 1:  # repeated parameters, two methods (P9)
            return answer(400, {"error": "invalid_request"})
        if form.get("grant_type") != "client_credentials":
            return answer(400, {"error": "unsupported_grant_type" if form.get("grant_type") else "invalid_request"})
        if with_basic:
            if not self._is_client(*_basic(basic)):
                refusal = answer(401, {"error": "invalid_client"})
                return Response(401, {**refusal.headers, "www-authenticate": "Basic"}, refusal.body)
        elif "client_assertion" in form:
            if not self._is_asserted(form, audience, now):
                return answer(400, {"error": "invalid_client"})
        elif not self._is_client(form.get("client_id", ""), form.get("client_secret", "")):
            return answer(400, {"error": "invalid_client"})
        return answer(200, {"access_token": self._issue(now), "token_type": "Bearer", "expires_in": int(ACCESS_LIFE)})

    def _issue(self, now: float) -> str:
        """A token that looks like a JWT and is opaque to whoever carries it."""
        self.access = {token: until for token, until in self.access.items() if until > now}
        parts = (b'{"alg":"RS256","typ":"at+jwt"}', self._secret("sub").encode(), self._secret("signature").encode())
        token = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
        self.access[token] = now + ACCESS_LIFE
        return token

    def _is_client(self, client_id: str, secret: str) -> bool:
        return (client_id, secret) == (CLIENT_ID, CLIENT_SECRET) and not self.secret_expired

    def _is_asserted(self, form: Mapping[str, str], audience: frozenset[str], now: float) -> bool:
        """`private_key_jwt`: iss = sub = client id, aud is ours, five minutes at most, a `jti` used once. (P9)"""
        if form.get("client_assertion_type") != _ASSERTION or self.public_key is None:
            return False
        claims = _verified(form["client_assertion"], self.public_key)
        if (
            claims is None
            or not claims.get("iss") == claims.get("sub") == form.get("client_id", CLIENT_ID) == CLIENT_ID
        ):
            return False
        meant = claims.get("aud")
        found = meant if isinstance(meant, list) else [meant]
        until, jti = claims.get("exp"), claims.get("jti")
        if not audience & {str(one).rstrip("/") for one in found} or not isinstance(until, (int, float)):
            return False
        if not now - _SKEW < until <= now + _LONGEST_ASSERTION + _SKEW or not isinstance(jti, str) or jti in self.seen:
            return False
        self.seen = {one: end for one, end in self.seen.items() if end > now - _SKEW} | {jti: float(until)}
        return True


def _data(value: str) -> str:
    """The data of a base64 token; only the XML as it is written counts, so a CRLF left on it makes it worthless."""
    try:
        text = base64.b64decode(value, validate=True).decode()
    except ValueError:
        return ""
    match = _CLASSIC.fullmatch(text)
    return match.group(1).upper() if match else ""


def _lower(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return {}
    return {str(name).casefold(): value for name, value in decoded.items()} if isinstance(decoded, dict) else {}


def _basic(header: str) -> tuple[str, str]:
    """Each half is form-encoded before base64. (P9)"""
    try:
        name, _, secret = base64.b64decode(header.partition(" ")[2], validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote_plus(name), unquote_plus(secret)


def _verified(assertion: str, public_key: str) -> dict[str, Any] | None:
    """The claims of a JWT signed RS256, PS256 or ES256 with that key."""
    try:
        head, body, tail = assertion.split(".")
        header, claims = msgspec.json.decode(_unpadded(head)), msgspec.json.decode(_unpadded(body))
        signature, signed = _unpadded(tail), f"{head}.{body}".encode()
        key = load_pem_public_key(public_key.encode())
        match header.get("alg"), key:
            case "RS256", rsa.RSAPublicKey():
                key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
            case "PS256", rsa.RSAPublicKey():
                key.verify(signature, signed, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
            case "ES256", ec.EllipticCurvePublicKey():
                halves = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
                key.verify(encode_dss_signature(*halves), signed, ec.ECDSA(hashes.SHA256()))
            case _:
                return None
    except (ValueError, AttributeError, InvalidSignature):
        return None
    return claims if isinstance(claims, dict) else None


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
