"""The audit journal: records on this host's disk, chained and signed, before the response starts."""
