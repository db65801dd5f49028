"""STS GetCallerIdentity and AssumeRole."""

import hashlib
import re

from edgepack.contract.security_tokens import (
    AssumedRoleUser,
    AssumeRoleRequest,
    AssumeRoleResponse,
    Credentials,
    GetCallerIdentityRequest,
    GetCallerIdentityResponse,
)
from edgepack.contract.shapes import wire_name
from edgepack.database import access_keys
from edgepack.database.records import MICROSECONDS, AccessKey, epoch_seconds
from edgepack.errors import AccessDeniedError, ValidationError
from edgepack.keys.access_keys import new_role_id, new_session_credentials
from edgepack.service.caller import Caller
from edgepack.service.context import Context
from edgepack.service.credentials import secret_context

NOT_SUPPORTED = (
    "policy_arns",
    "policy",
    "tags",
    "transitive_tag_keys",
    "external_id",
    "serial_number",
    "token_code",
    "provided_contexts",
    "minimum_session_token_size",
)
"""Members of AssumeRole that would narrow or mark a session. There are no policies here that could do so, and to accept
them would promise a restriction that is not there."""

DEFAULT_SESSION_SECONDS = 3600
"""AssumeRole API reference: the default of DurationSeconds."""

_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+")


class SecurityTokens:
    """The operations of the Security Token Service.

    Args:
        context: The service's means.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def get_caller_identity(self, caller: Caller, _request: GetCallerIdentityRequest) -> GetCallerIdentityResponse:
        """Who signed the request."""
        return GetCallerIdentityResponse(user_id=caller.user_id, account=caller.account_id, arn=caller.arn)

    def assume_role(self, caller: Caller, request: AssumeRoleRequest) -> AssumeRoleResponse:
        """Temporary credentials for a role of the caller's own account.

        Raises:
            ValidationError: The ARN is not a role's, or a member asks for what is not there.
            AccessDeniedError: The role belongs to another account.
        """
        _check(request)
        role_account, role_name = request.role_arn.split(":")[4], request.role_arn.rsplit("/", 1)[-1]
        if role_account != caller.account_id:
            raise AccessDeniedError(
                f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {request.role_arn}."
            )
        now = self._context.clock()
        expires_at = now + (request.duration_seconds or DEFAULT_SESSION_SECONDS) * MICROSECONDS
        fresh, role_id = new_session_credentials(), new_role_id(request.role_arn)
        arn = f"arn:aws:sts::{role_account}:assumed-role/{role_name}/{request.role_session_name}"
        principal_id = f"{role_id}:{request.role_session_name}"
        key = AccessKey(
            access_key_id=fresh.access_key_id,
            account_id=caller.account_id,
            principal_arn=arn,
            principal_id=principal_id,
            sealed_secret=self._context.secrets.seal(
                fresh.secret_access_key.encode(), context=secret_context(fresh.access_key_id)
            ),
            token_sha256=hashlib.sha256(fresh.session_token.encode()).digest(),
            created_at=now,
            expires_at=expires_at,
        )
        with self._context.database.write() as connection:
            access_keys.delete_expired(connection, now=now)
            access_keys.add(connection, key)
        return AssumeRoleResponse(
            credentials=Credentials(
                access_key_id=fresh.access_key_id,
                secret_access_key=fresh.secret_access_key,
                session_token=fresh.session_token,
                expiration=epoch_seconds(expires_at),
            ),
            assumed_role_user=AssumedRoleUser(assumed_role_id=principal_id, arn=arn),
            source_identity=request.source_identity,
        )


def _check(request: AssumeRoleRequest) -> None:
    if not _ROLE_ARN.fullmatch(request.role_arn):
        raise ValidationError(f"{request.role_arn} is not the ARN of an IAM role.")
    asked = [wire_name(member) for member in NOT_SUPPORTED if getattr(request, member)]
    if asked:
        raise ValidationError(
            f"Not supported by this server: {', '.join(asked)}.", advice="Leave that out, or assume the role at AWS."
        )
