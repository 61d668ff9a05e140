"""Libraries on top of PyJWT: what they decide about a token that PyJWT has accepted, and how they revoke one."""
