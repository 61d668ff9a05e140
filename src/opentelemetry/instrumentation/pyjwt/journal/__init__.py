"""The audit journal: events on this host's disk, chained and signed, before the response starts; then delivered."""
