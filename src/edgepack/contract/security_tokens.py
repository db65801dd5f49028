"""GetCallerIdentity and AssumeRole of the Security Token Service."""

from typing import Annotated

import msgspec

from edgepack.contract.fields import (
    AccessKeyId,
    AssumedRoleId,
    AwsArn,
    ContextAssertion,
    ExternalId,
    MinimumSessionTokenSize,
    NonNegativeInteger,
    RoleDurationSeconds,
    RoleSessionName,
    SerialNumber,
    SessionPolicyDocument,
    SessionTagKey,
    SessionTagKeys,
    SessionTagValue,
    SourceIdentity,
    Timestamp,
    TokenCode,
)
from edgepack.contract.shapes import Shape


class GetCallerIdentityRequest(Shape, frozen=True, kw_only=True):
    """Request of API_GetCallerIdentity.html."""


class GetCallerIdentityResponse(Shape, frozen=True, kw_only=True):
    """Response: who signed the request."""

    user_id: str | None = None
    account: str | None = None
    arn: AwsArn | None = None


class PolicyDescriptorType(Shape, frozen=True, kw_only=True):
    """A managed policy by its ARN (API_PolicyDescriptorType.html)."""

    arn: AwsArn | None = msgspec.field(default=None, name="arn")


class SessionTag(Shape, frozen=True, kw_only=True):
    """A session tag (API_Tag.html of STS)."""

    key: SessionTagKey
    value: SessionTagValue


class ProvidedContext(Shape, frozen=True, kw_only=True):
    """An assertion by a context provider (API_ProvidedContext.html)."""

    provider_arn: AwsArn | None = None
    context_assertion: ContextAssertion | None = None


class AssumeRoleRequest(Shape, frozen=True, kw_only=True):
    """Request of API_AssumeRole.html."""

    role_arn: AwsArn
    role_session_name: RoleSessionName
    policy_arns: list[PolicyDescriptorType] | None = None
    policy: SessionPolicyDocument | None = None
    duration_seconds: RoleDurationSeconds | None = None
    tags: Annotated[list[SessionTag], msgspec.Meta(max_length=50)] | None = None
    transitive_tag_keys: SessionTagKeys | None = None
    external_id: ExternalId | None = None
    serial_number: SerialNumber | None = None
    token_code: TokenCode | None = None
    source_identity: SourceIdentity | None = None
    provided_contexts: Annotated[list[ProvidedContext], msgspec.Meta(min_length=1, max_length=5)] | None = None
    minimum_session_token_size: MinimumSessionTokenSize | None = None


class Credentials(Shape, frozen=True, kw_only=True):
    """Temporary credentials (API_Credentials.html). The repr does not show the secrets."""

    access_key_id: AccessKeyId
    secret_access_key: str
    session_token: str
    expiration: Timestamp

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id})"


class AssumedRoleUser(Shape, frozen=True, kw_only=True):
    """The identity that the credentials stand for (API_AssumedRoleUser.html)."""

    assumed_role_id: AssumedRoleId
    arn: AwsArn


class AssumeRoleResponse(Shape, frozen=True, kw_only=True):
    """Response: credentials and identity."""

    credentials: Credentials | None = None
    assumed_role_user: AssumedRoleUser | None = None
    packed_policy_size: NonNegativeInteger | None = None
    source_identity: SourceIdentity | None = None
    session_token_utilization: NonNegativeInteger | None = None
    session_token_size: NonNegativeInteger | None = None
