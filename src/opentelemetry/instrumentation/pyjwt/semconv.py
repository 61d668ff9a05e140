"""Every event, attribute and metric name this package emits, with its type and meaning.

Names without ``jwt.`` are those of the OpenTelemetry semantic conventions or of the draft Audit Logging
signal (OTEP 0267). An attribute that is not known is absent; none is ever empty.
"""

from __future__ import annotations

from typing import Final

# --- Events: the name of the log record, and the start of its body -----------------------------------

ISSUED: Final = "jwt.issued"  # INFO: a token was minted
REFRESHED: Final = "jwt.refreshed"  # INFO: minted in exchange for a refresh token
REVOKED: Final = "jwt.revoked"  # INFO: put on a revocation list
VALIDATED: Final = "jwt.validated"  # INFO: verified, accepted, in scope
DENIED: Final = "jwt.denied"  # WARN: verified, but scope or permission did not suffice
REJECTED: Final = "jwt.rejected"  # WARN, ERROR when revoked: presented and not accepted
UNVERIFIED: Final = "jwt.unverified"  # WARN: claims were read, no signature was ever checked

EVENTS: Final = (ISSUED, REFRESHED, REVOKED, VALIDATED, DENIED, REJECTED, UNVERIFIED)

CHECKPOINT: Final = "jwt.audit.checkpoint"  # INFO, of the journal's own: what was written until now, signed

# --- The token: registered claims (RFC 7519 §4.1, RFC 9068 §2.2) and JOSE header (RFC 7515 §4.1) -----

JTI: Final = "jwt.jti"  # string: the token's id, unique per issuer
SUB: Final = "jwt.sub"  # string: subject, plain or pseudonym
ISS: Final = "jwt.iss"  # string: issuer
AUD: Final = "jwt.aud"  # string[]: audience
IAT: Final = "jwt.iat"  # int: issued at, seconds since the epoch
NBF: Final = "jwt.nbf"  # int: not before, seconds since the epoch
EXP: Final = "jwt.exp"  # int: expiry, seconds since the epoch
EXPIRES_IN: Final = "jwt.expires_in"  # int: seconds left when validated; negative when past
CLIENT_ID: Final = "jwt.client_id"  # string: claim client_id, or azp
SID: Final = "jwt.sid"  # string: session id
ALG: Final = "jwt.alg"  # string: JOSE algorithm
KID: Final = "jwt.kid"  # string: JOSE key id
TYP: Final = "jwt.typ"  # string: JOSE media type
ACT_SUB: Final = "jwt.act.sub"  # string: who acts for the subject (RFC 8693 §4.1)
CNF: Final = "jwt.cnf"  # string: thumbprint of the key the token is bound to (RFC 9449 §6, RFC 8705 §3)
TOKEN_USE: Final = "jwt.token_use"  # string: access, refresh, id
FINGERPRINT: Final = "jwt.fingerprint"  # string: truncated SHA-256 of header.payload, for want of a whole jti
VERIFIED: Final = "jwt.verified"  # bool: a checked signature covers the claims above
PARENT_JTI: Final = "jwt.parent.jti"  # string: the refresh token this one was minted from
CLAIM_PREFIX: Final = "jwt.claims."  # any: claims the operator chose to capture

# --- The verdict ----------------------------------------------------------------------------------------

OUTCOME: Final = "jwt.validation.outcome"  # string: valid, invalid, unverified
REASON: Final = "jwt.validation.reason"  # string: why it was rejected
CHECKS: Final = "jwt.validation.checks"  # string[]: checks really made
SCOPE_GRANTED: Final = "jwt.scope.granted"  # string[]: from the token
SCOPE_REQUIRED: Final = "jwt.scope.required"  # string[]: from the endpoint
SCOPE_MISSING: Final = "jwt.scope.missing"  # string[]: required minus granted
SCOPE_OUTCOME: Final = "jwt.scope.outcome"  # string: sufficient, insufficient
REVOCATION_REASON: Final = "jwt.revocation.reason"  # string: why a token was revoked

# --- Who and where --------------------------------------------------------------------------------------

ACTION: Final = "jwt.action"  # string: the name given to action() for non-HTTP work
ACTOR_ID: Final = "audit.actor.id"  # string: who did it
RECORD_ID: Final = "audit.record.id"  # string: UUID of the record, stable across retries
USER_ID: Final = "user.id"  # string: verified subject, plain
USER_HASH: Final = "user.hash"  # string: verified subject, pseudonym
CLIENT_ADDRESS: Final = "client.address"  # string
USER_AGENT: Final = "user_agent.original"  # string
HTTP_METHOD: Final = "http.request.method"  # string
HTTP_ROUTE: Final = "http.route"  # string
HTTP_STATUS: Final = "http.response.status_code"  # int

# --- What a pipeline adds to a record on its way ----------------------------------------------------------

EVENT_NAME: Final = "event.name"  # string: the event, for receivers that lose its name
COUNTRY: Final = "geo.country.iso_code"  # string: of client.address

# --- The journal: on every record in it (OTEP 0267) ---------------------------------------------------------

ACTOR_TYPE: Final = "audit.actor.type"  # string: user, service, anonymous
AUDIT_ACTION: Final = "audit.action"  # string: ISSUE, REFRESH, REVOKE, USE; CHECKPOINT of the journal's own
AUDIT_OUTCOME: Final = "audit.outcome"  # string: success, failure, unknown
TARGET_ID: Final = "audit.target.id"  # string: the route, or the name given to action()
TARGET_TYPE: Final = "audit.target.type"  # string: http.endpoint, action
SOURCE_ID: Final = "audit.source.id"  # string: address of the client
SOURCE_TYPE: Final = "audit.source.type"  # string: client.address
SCHEMA_VERSION: Final = "audit.schema.version"  # string: version of these attributes
STREAM_ID: Final = "audit.sequence.stream_id"  # string: the chain that the record is in
SEQUENCE_NUMBER: Final = "audit.sequence.number"  # int: and its place there, from 1
PREV_HASH: Final = "audit.sequence.prev_hash"  # string: SHA-256 of the record before it, in hex
INTEGRITY: Final = "audit.integrity.value"  # string: signed proof (JWS), on checkpoints

#: Every attribute named above; those of captured claims begin with CLAIM_PREFIX.
ATTRIBUTES: Final = frozenset(
    value for name, value in tuple(globals().items()) if name.isupper() and isinstance(value, str)
) - {*EVENTS, CHECKPOINT, CLAIM_PREFIX}

# --- Reasons (jwt.validation.reason) ----------------------------------------------------------------------

EXPIRED: Final = "expired"
NOT_YET_VALID: Final = "not_yet_valid"
INVALID_SIGNATURE: Final = "invalid_signature"
INVALID_ALGORITHM: Final = "invalid_algorithm"
INVALID_AUDIENCE: Final = "invalid_audience"
INVALID_ISSUER: Final = "invalid_issuer"
INVALID_SUBJECT: Final = "invalid_subject"
INVALID_JTI: Final = "invalid_jti"
MISSING_CLAIM: Final = "missing_claim"
INVALID_CLAIM: Final = "invalid_claim"  # a claim of the wrong kind
MALFORMED: Final = "malformed"
INVALID_KEY: Final = "invalid_key"
KEY_UNAVAILABLE: Final = "key_unavailable"
TOKEN_REVOKED: Final = "revoked"
WRONG_TYPE: Final = "wrong_type"
REFUSED: Final = "refused"  # the application's own reason
APPLICATION_ERROR: Final = "application_error"  # the call itself was wrong

# --- Metrics --------------------------------------------------------------------------------------------

VALIDATION_DURATION: Final = "jwt.validation.duration"  # histogram, s: outcome, reason, alg
TOKENS_ISSUED: Final = "jwt.tokens.issued"  # counter, {token}
TOKENS_REVOKED: Final = "jwt.tokens.revoked"  # counter, {token}
SCOPE_DENIALS: Final = "jwt.scope.denials"  # counter, {denial}
RECORDS_WRITTEN: Final = "jwt.audit.records.written"  # counter, {record}: into the journal
RECORDS_DROPPED: Final = "jwt.audit.records.dropped"  # counter, {record}: that the journal could not take
JOURNAL_PENDING: Final = "jwt.audit.journal.pending"  # up-down counter, {record}: written, not yet forwarded
RECORDS_FORWARDED: Final = "jwt.audit.records.forwarded"  # counter, {record}: acknowledged by the receiver
