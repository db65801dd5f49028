"""Every error that crosses a room's boundary.

There is one root per party that can act on it, so that a caller can tell from the type alone whose turn it is:

* `RequestError`: whoever sent the request changes the request.
* `ArtifactError`: whoever made the model artifact, the package or the compiled model changes its bytes.
* `StoreError`: whoever runs the object store (or granted access to it) acts; some of these pass by themselves.
* `StateError`: whoever operates this edgepack acts: its data folder, database, keys or settings.

Each class has a stable `code`, which programs match on and the wire sends, and an `advice`: what to do next.
"""

from typing import ClassVar


class EdgepackError(Exception):
    """Base of all edgepack errors; raise one of its subclasses.

    Args:
        message: What happened, naming the thing it happened to. One sentence, no secret in it.
        advice: What to do about it, where the class's own `advice` can be bettered.
    """

    code: ClassVar[str] = "InternalFailure"
    advice: str = ""

    def __init__(self, message: str, *, advice: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if advice is not None:
            self.advice = advice

    def diagnostics(self) -> str:
        """The message and, where there is one, the advice: what a person should read."""
        return f"{self.message} {self.advice}".rstrip()


class RequestError(EdgepackError):
    """The request cannot be carried out as it stands. The caller changes it; repeating it as it is will fail again."""

    code = "ValidationException"


class ValidationError(RequestError):
    """A member of the request breaks a rule of the contract or contradicts what exists."""

    code = "ValidationException"


class ResourceNotFoundError(RequestError):
    """The named resource does not exist in the caller's account and region."""

    code = "ResourceNotFound"


class ResourceInUseError(RequestError):
    """The name is taken, or the resource is in a state that forbids the operation."""

    code = "ResourceInUse"


class ResourceLimitExceededError(RequestError):
    """An account's limit is reached."""

    code = "ResourceLimitExceeded"


class StoreError(EdgepackError):
    """The object store refused or failed. Its operator, or the one who grants access to it, acts."""

    code = "StoreFailure"


class StateError(EdgepackError):
    """edgepack's own state is missing, damaged or in use. The operator of this edgepack acts."""

    code = "InternalFailure"


class ArtifactError(EdgepackError):
    """The bytes of a model artifact, a package or a compiled model are not acceptable. Their author changes them."""

    code = "InvalidArtifact"


class WireError(EdgepackError):
    """What arrived is no authentic, well-formed request of a served operation. Whoever set up the client acts."""

    code = "ValidationException"


class SerializationError(WireError):
    """The body is not the JSON (or form) that the operation's request shape describes."""

    code = "SerializationException"


class UnknownOperationError(WireError):
    """The target names no operation, or one of a known service that is not implemented here."""

    code = "UnknownOperationException"


class MissingAuthenticationError(WireError):
    """The request carries no signature."""

    code = "MissingAuthenticationTokenException"
    advice = "Sign it with AWS Signature Version 4; `edgepack env` prints an access key that every AWS SDK picks up."


class IncompleteSignatureError(WireError):
    """The Authorization header is there but is not a complete Signature Version 4 one."""

    code = "IncompleteSignatureException"


class InvalidSignatureError(WireError):
    """The signature is not the one that the secret key gives for this request."""

    code = "InvalidSignatureException"


class UnrecognizedClientError(WireError):
    """The access key or the session token is not known here, or is no longer active."""

    code = "UnrecognizedClientException"


class ExpiredTokenError(WireError):
    """The temporary credentials have expired."""

    code = "ExpiredTokenException"


class RequestExpiredError(WireError):
    """The request's date is further from the server's clock than allowed."""

    code = "RequestExpired"


class AccessDeniedError(WireError):
    """The caller is known, but may not do this."""

    code = "AccessDeniedException"


class ThrottlingError(WireError):
    """More requests than the server takes at this moment; the client retries with back-off."""

    code = "ThrottlingException"


class RequestTooLargeError(WireError):
    """The request's body or headers are larger than the server reads."""

    code = "RequestEntityTooLargeException"
