-- Made from the rules in collector-config/alerts/rules by `make alerts`: change those, not this file.
--
-- Each rule is a view of its findings. They are looked for in a table, events, with the time in nanoseconds
-- since the epoch, a column for each attribute, each record once. Archives of `jwt-audit compact` have them:
--
--   CREATE VIEW events AS
--   SELECT DISTINCT ON (coalesce("audit.record.id", record)) * FROM read_parquet('archive/*/*.parquet');
--
-- Levels, from 0: informational, low, medium, high, critical.

-- JWT with an algorithm that is not allowed
CREATE VIEW "algorithm-confusion" AS
SELECT 3 AS level, MAP {'client.address': "client.address"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.rejected' AND "jwt.validation.reason" = 'invalid_algorithm' AND "client.address" IS NOT NULL)
GROUP BY "client.address";

-- Claims of an unverified JWT read in a request
CREATE VIEW "unverified-token" AS
SELECT 2 AS level, MAP {'client.address': "client.address"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.unverified' AND "http.request.method" IS NOT NULL AND "client.address" IS NOT NULL)
GROUP BY "client.address";

-- JWT issued without jti
CREATE VIEW "posture-no-jti" AS
SELECT 1 AS level, MAP {'jwt.iss': "jwt.iss"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.issued' AND "jwt.jti" IS NULL)
GROUP BY "jwt.iss";

-- JWT issued without expiry
CREATE VIEW "posture-no-expiry" AS
SELECT 1 AS level, MAP {'jwt.iss': "jwt.iss"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.issued' AND "jwt.exp" IS NULL)
GROUP BY "jwt.iss";

-- JWT issued for more than a day
CREATE VIEW "posture-long-lived" AS
SELECT 1 AS level, MAP {'jwt.iss': "jwt.iss"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.issued' AND ("jwt.exp" - coalesce("jwt.iat", time // 1000000000)) > 86400 AND NOT coalesce("jwt.token_use" = 'refresh', false))
GROUP BY "jwt.iss";

-- JWT accepted without looking at its audience
CREATE VIEW "posture-no-audience-check" AS
SELECT 1 AS level, MAP {'jwt.iss': "jwt.iss"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.validated' AND NOT coalesce(list_has_any("jwt.validation.checks", ['aud']), false) AND "jwt.verified" = true)
GROUP BY "jwt.iss";

-- Many rejected JWTs from one client
CREATE VIEW "rejected-burst-client" AS
FROM (
  WITH found AS NOT MATERIALIZED (
    SELECT "client.address", time, "audit.record.id", hash("client.address") AS hashed
    FROM events
    WHERE ("event.name" = 'jwt.rejected' AND "jwt.validation.reason" IN ('expired', 'invalid_signature', 'invalid_algorithm', 'malformed', 'revoked') AND "client.address" IS NOT NULL)
  ), candidates AS MATERIALIZED (
    SELECT hashed FROM found GROUP BY hashed HAVING count(*) >= 10
  ), windows AS (
    SELECT *, count(*) OVER past AS number, min(time) OVER past AS since
    FROM found
    WHERE hashed IN (SELECT hashed FROM candidates)
    WINDOW past AS (
      PARTITION BY "client.address" ORDER BY time
      RANGE BETWEEN 600000000000 /* 600s */ PRECEDING AND CURRENT ROW
    )
  ), fullest AS MATERIALIZED (
    SELECT "client.address", 2 AS level, max(number) AS count, min(since) AS first, max(time) AS last,
      arg_max({'since': since, 'until': time}, {'number': number, 'age': -time}) AS shown,
      any_value(hashed) AS hashed
    FROM windows
    WHERE number >= 10
    GROUP BY "client.address"
  ), shown AS (
    SELECT fullest.*, 0 AS place, found.time AS moment, found."audit.record.id" AS id
    FROM fullest JOIN found ON found.hashed = fullest.hashed AND found."client.address" IS NOT DISTINCT FROM fullest."client.address"
      AND found.time BETWEEN fullest.shown.since AND fullest.shown.until
  )
  SELECT level, MAP {'client.address': "client.address"::VARCHAR} AS key, count, first, last,
    [one.id FOR one IN coalesce(min({'place': place, 'time': moment, 'id': id}, 5) FILTER (id IS NOT NULL), [])] AS sample
  FROM shown
  GROUP BY "client.address", level, count, first, last
);

-- Many rejected JWTs of one subject
CREATE VIEW "rejected-burst-subject" AS
FROM (
  WITH found AS NOT MATERIALIZED (
    SELECT "jwt.iss", "jwt.sub", time, "audit.record.id", hash("jwt.iss", "jwt.sub") AS hashed
    FROM events
    WHERE ("event.name" = 'jwt.rejected' AND "jwt.verified" = true AND "jwt.validation.reason" IN ('expired', 'revoked') AND "jwt.sub" IS NOT NULL)
  ), candidates AS MATERIALIZED (
    SELECT hashed FROM found GROUP BY hashed HAVING count(*) >= 10
  ), windows AS (
    SELECT *, count(*) OVER past AS number, min(time) OVER past AS since
    FROM found
    WHERE hashed IN (SELECT hashed FROM candidates)
    WINDOW past AS (
      PARTITION BY "jwt.iss", "jwt.sub" ORDER BY time
      RANGE BETWEEN 600000000000 /* 600s */ PRECEDING AND CURRENT ROW
    )
  ), fullest AS MATERIALIZED (
    SELECT "jwt.iss", "jwt.sub", 2 AS level, max(number) AS count, min(since) AS first, max(time) AS last,
      arg_max({'since': since, 'until': time}, {'number': number, 'age': -time}) AS shown,
      any_value(hashed) AS hashed
    FROM windows
    WHERE number >= 10
    GROUP BY "jwt.iss", "jwt.sub"
  ), shown AS (
    SELECT fullest.*, 0 AS place, found.time AS moment, found."audit.record.id" AS id
    FROM fullest JOIN found ON found.hashed = fullest.hashed AND found."jwt.iss" IS NOT DISTINCT FROM fullest."jwt.iss" AND found."jwt.sub" IS NOT DISTINCT FROM fullest."jwt.sub"
      AND found.time BETWEEN fullest.shown.since AND fullest.shown.until
  )
  SELECT level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.sub': "jwt.sub"::VARCHAR} AS key, count, first, last,
    [one.id FOR one IN coalesce(min({'place': place, 'time': moment, 'id': id}, 5) FILTER (id IS NOT NULL), [])] AS sample
  FROM shown
  GROUP BY "jwt.iss", "jwt.sub", level, count, first, last
);

-- A JWT accepted after several were rejected
CREATE VIEW "failures-then-success" AS
FROM (
  WITH found AS NOT MATERIALIZED (
    SELECT "client.address", time, "audit.record.id", coalesce(("event.name" = 'jwt.rejected' AND "jwt.validation.reason" IN ('expired', 'invalid_signature', 'invalid_algorithm', 'malformed', 'revoked')), false) AS before, coalesce("event.name" = 'jwt.validated', false) AS after, hash("client.address") AS hashed
    FROM events
    WHERE ((("event.name" = 'jwt.rejected' AND "jwt.validation.reason" IN ('expired', 'invalid_signature', 'invalid_algorithm', 'malformed', 'revoked')) OR "event.name" = 'jwt.validated') AND "client.address" IS NOT NULL)
  ), candidates AS MATERIALIZED (
    SELECT hashed FROM found GROUP BY hashed HAVING count(*) FILTER (before) >= 5 AND bool_or(after)
  ), windows AS (
    SELECT *, count(*) FILTER (before) OVER past - before::INTEGER AS number, min(time) FILTER (before) OVER past AS since
    FROM found
    WHERE hashed IN (SELECT hashed FROM candidates)
    WINDOW past AS (
      PARTITION BY "client.address" ORDER BY time
      RANGE BETWEEN 600000000000 /* 600s */ PRECEDING AND CURRENT ROW
    )
  ), fullest AS MATERIALIZED (
    SELECT "client.address", 3 AS level, max(number) AS count, min(since) AS first, max(time) AS last,
      arg_max({'since': since, 'until': time}, {'number': number, 'age': -time}) AS shown,
      any_value(hashed) AS hashed
    FROM windows
    WHERE after AND number >= 5
    GROUP BY "client.address"
  ), shown AS (
    SELECT fullest.*, (found.time <> fullest.shown.until)::INTEGER AS place, found.time AS moment, found."audit.record.id" AS id
    FROM fullest JOIN found ON found.hashed = fullest.hashed AND found."client.address" IS NOT DISTINCT FROM fullest."client.address"
      AND found.time BETWEEN fullest.shown.since AND fullest.shown.until
  )
  SELECT level, MAP {'client.address': "client.address"::VARCHAR} AS key, count, first, last,
    [one.id FOR one IN coalesce(min({'place': place, 'time': moment, 'id': id}, 5) FILTER (id IS NOT NULL), [])] AS sample
  FROM shown
  GROUP BY "client.address", level, count, first, last
);

-- Revoked JWT used
CREATE VIEW "revoked-token-used" AS
SELECT 3 AS level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.jti': "jwt.jti"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.rejected' AND "jwt.validation.reason" = 'revoked' AND NOT coalesce("jwt.token_use" = 'refresh', false) AND "jwt.verified" = true AND "jwt.jti" IS NOT NULL)
GROUP BY "jwt.iss", "jwt.jti"
UNION ALL
SELECT 3 AS level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.fingerprint': "jwt.fingerprint"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.rejected' AND "jwt.validation.reason" = 'revoked' AND NOT coalesce("jwt.token_use" = 'refresh', false) AND "jwt.verified" = true AND "jwt.fingerprint" IS NOT NULL AND "jwt.jti" IS NULL)
GROUP BY "jwt.iss", "jwt.fingerprint"
UNION ALL
SELECT 3 AS level, MAP {'client.address': "client.address"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.rejected' AND "jwt.validation.reason" = 'revoked' AND NOT coalesce("jwt.token_use" = 'refresh', false) AND "client.address" IS NOT NULL AND NOT coalesce(("jwt.verified" = true AND "jwt.jti" IS NOT NULL), false) AND NOT coalesce(("jwt.verified" = true AND "jwt.fingerprint" IS NOT NULL), false))
GROUP BY "client.address";

-- Refresh token used again
CREATE VIEW "refresh-token-reuse" AS
SELECT 4 AS level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.jti': "jwt.jti"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.rejected' AND "jwt.validation.reason" = 'revoked' AND "jwt.token_use" = 'refresh' AND "jwt.verified" = true AND "jwt.jti" IS NOT NULL)
GROUP BY "jwt.iss", "jwt.jti"
UNION ALL
SELECT 4 AS level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.fingerprint': "jwt.fingerprint"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.rejected' AND "jwt.validation.reason" = 'revoked' AND "jwt.token_use" = 'refresh' AND "jwt.verified" = true AND "jwt.fingerprint" IS NOT NULL AND "jwt.jti" IS NULL)
GROUP BY "jwt.iss", "jwt.fingerprint"
UNION ALL
SELECT 4 AS level, MAP {'client.address': "client.address"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.rejected' AND "jwt.validation.reason" = 'revoked' AND "jwt.token_use" = 'refresh' AND "client.address" IS NOT NULL AND NOT coalesce(("jwt.verified" = true AND "jwt.jti" IS NOT NULL), false) AND NOT coalesce(("jwt.verified" = true AND "jwt.fingerprint" IS NOT NULL), false))
GROUP BY "client.address";

-- One subject denied again and again
CREATE VIEW "scope-probing" AS
FROM (
  WITH found AS NOT MATERIALIZED (
    SELECT "jwt.iss", "jwt.sub", time, "audit.record.id", hash("jwt.iss", "jwt.sub") AS hashed
    FROM events
    WHERE ("event.name" = 'jwt.denied' AND "jwt.verified" = true AND "jwt.sub" IS NOT NULL)
  ), candidates AS MATERIALIZED (
    SELECT hashed FROM found GROUP BY hashed HAVING count(*) >= 5
  ), windows AS (
    SELECT *, count(*) OVER past AS number, min(time) OVER past AS since
    FROM found
    WHERE hashed IN (SELECT hashed FROM candidates)
    WINDOW past AS (
      PARTITION BY "jwt.iss", "jwt.sub" ORDER BY time
      RANGE BETWEEN 600000000000 /* 600s */ PRECEDING AND CURRENT ROW
    )
  ), fullest AS MATERIALIZED (
    SELECT "jwt.iss", "jwt.sub", 2 AS level, max(number) AS count, min(since) AS first, max(time) AS last,
      arg_max({'since': since, 'until': time}, {'number': number, 'age': -time}) AS shown,
      any_value(hashed) AS hashed
    FROM windows
    WHERE number >= 5
    GROUP BY "jwt.iss", "jwt.sub"
  ), shown AS (
    SELECT fullest.*, 0 AS place, found.time AS moment, found."audit.record.id" AS id
    FROM fullest JOIN found ON found.hashed = fullest.hashed AND found."jwt.iss" IS NOT DISTINCT FROM fullest."jwt.iss" AND found."jwt.sub" IS NOT DISTINCT FROM fullest."jwt.sub"
      AND found.time BETWEEN fullest.shown.since AND fullest.shown.until
  )
  SELECT level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.sub': "jwt.sub"::VARCHAR} AS key, count, first, last,
    [one.id FOR one IN coalesce(min({'place': place, 'time': moment, 'id': id}, 5) FILTER (id IS NOT NULL), [])] AS sample
  FROM shown
  GROUP BY "jwt.iss", "jwt.sub", level, count, first, last
);

-- Request served although a scope was missing
CREATE VIEW "scope-gap" AS
SELECT 3 AS level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.jti': "jwt.jti"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.denied' AND "jwt.scope.missing" IS NOT NULL AND "http.response.status_code" >= 200 AND "http.response.status_code" < 300 AND "jwt.verified" = true AND "jwt.jti" IS NOT NULL)
GROUP BY "jwt.iss", "jwt.jti"
UNION ALL
SELECT 3 AS level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.fingerprint': "jwt.fingerprint"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.denied' AND "jwt.scope.missing" IS NOT NULL AND "http.response.status_code" >= 200 AND "http.response.status_code" < 300 AND "jwt.verified" = true AND "jwt.fingerprint" IS NOT NULL AND "jwt.jti" IS NULL)
GROUP BY "jwt.iss", "jwt.fingerprint";

-- Request served although its JWT was rejected
CREATE VIEW "rejected-but-served" AS
SELECT 2 AS level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.jti': "jwt.jti"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.rejected' AND "http.response.status_code" >= 200 AND "http.response.status_code" < 300 AND "jwt.verified" = true AND "jwt.jti" IS NOT NULL)
GROUP BY "jwt.iss", "jwt.jti"
UNION ALL
SELECT 2 AS level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.fingerprint': "jwt.fingerprint"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.rejected' AND "http.response.status_code" >= 200 AND "http.response.status_code" < 300 AND "jwt.verified" = true AND "jwt.fingerprint" IS NOT NULL AND "jwt.jti" IS NULL)
GROUP BY "jwt.iss", "jwt.fingerprint"
UNION ALL
SELECT 2 AS level, MAP {'client.address': "client.address"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.rejected' AND "http.response.status_code" >= 200 AND "http.response.status_code" < 300 AND "client.address" IS NOT NULL AND NOT coalesce(("jwt.verified" = true AND "jwt.jti" IS NOT NULL), false) AND NOT coalesce(("jwt.verified" = true AND "jwt.fingerprint" IS NOT NULL), false))
GROUP BY "client.address";

-- Expired JWT accepted
CREATE VIEW "expired-accepted" AS
SELECT 2 AS level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.jti': "jwt.jti"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.validated' AND "jwt.expires_in" < -300 AND "jwt.verified" = true AND "jwt.jti" IS NOT NULL)
GROUP BY "jwt.iss", "jwt.jti"
UNION ALL
SELECT 2 AS level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.fingerprint': "jwt.fingerprint"::VARCHAR} AS key, count(*) AS count, min(time) AS first,
  max(time) AS last, [one.id FOR one IN coalesce(min({'time': time, 'id': "audit.record.id"}, 5) FILTER ("audit.record.id" IS NOT NULL), [])] AS sample
FROM events
WHERE ("event.name" = 'jwt.validated' AND "jwt.expires_in" < -300 AND "jwt.verified" = true AND "jwt.fingerprint" IS NOT NULL AND "jwt.jti" IS NULL)
GROUP BY "jwt.iss", "jwt.fingerprint";

-- One JWT used from several countries
CREATE VIEW "token-multi-region" AS
FROM (
  WITH found AS NOT MATERIALIZED (
    SELECT "jwt.iss", "jwt.jti", time, "audit.record.id", "geo.country.iso_code" AS value, "user_agent.original" AS other, hash("jwt.iss", "jwt.jti") AS hashed
    FROM events
    WHERE ("event.name" IN ('jwt.validated', 'jwt.denied', 'jwt.rejected') AND "jwt.verified" = true AND "jwt.jti" IS NOT NULL)
  ), candidates AS MATERIALIZED (
    SELECT hashed FROM found GROUP BY hashed HAVING count(value) >= 2 AND min(value) <> max(value)
  ), kept AS MATERIALIZED (
    SELECT "jwt.iss", "jwt.jti", hashed, value, other, unnest([min(time), max(time)]) AS time
    FROM found
    WHERE hashed IN (SELECT hashed FROM candidates)
    GROUP BY "jwt.iss", "jwt.jti", hashed, value, other, time // 1800000000000
  ), windows AS (
    SELECT *, count(DISTINCT value) OVER past AS number, count(DISTINCT other) OVER past AS others
    FROM kept
    WINDOW past AS (
      PARTITION BY "jwt.iss", "jwt.jti" ORDER BY time
      RANGE BETWEEN 1800000000000 /* 1800s */ PRECEDING AND CURRENT ROW
    )
  ), fullest AS MATERIALIZED (
    SELECT "jwt.iss", "jwt.jti", max(if(others >= 2, 3, 2)) AS level, max(number) AS count, min(time) AS first, max(time) AS last,
      arg_max(time, {'number': number, 'age': -time}) AS shown, any_value(hashed) AS hashed
    FROM windows
    WHERE number >= 2
    GROUP BY "jwt.iss", "jwt.jti"
  ), latest AS (
    SELECT fullest.*, value, max(kept.time) AS latest
    FROM fullest JOIN kept ON kept.hashed = fullest.hashed AND kept."jwt.iss" IS NOT DISTINCT FROM fullest."jwt.iss" AND kept."jwt.jti" IS NOT DISTINCT FROM fullest."jwt.jti"
      AND value IS NOT NULL AND kept.time BETWEEN last - 1800000000000 AND last
    GROUP BY ALL
  ), ends AS MATERIALIZED (
    SELECT * EXCLUDE (value, latest), list_min(max(latest, 2)) + 1800000000000 AS until
    FROM latest
    GROUP BY ALL
  ), told AS (
    SELECT ends.*, value, min(found.time) FILTER (found.time >= first - 1800000000000) AS since,
      max(found.time) FILTER (found.time <= until) AS final,
      min({'time': found.time, 'id': "audit.record.id"}) FILTER (
        value IS NOT NULL AND "audit.record.id" IS NOT NULL AND found.time BETWEEN shown - 1800000000000 AND shown
      ) AS example
    FROM ends JOIN found ON found.hashed = ends.hashed AND found."jwt.iss" IS NOT DISTINCT FROM ends."jwt.iss" AND found."jwt.jti" IS NOT DISTINCT FROM ends."jwt.jti"
    GROUP BY ALL
  )
  SELECT level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.jti': "jwt.jti"::VARCHAR} AS key, count, min(since) AS first, max(final) AS last,
    [one.id FOR one IN coalesce(min({'time': example.time, 'id': example.id}, 5) FILTER (example.id IS NOT NULL), [])] AS sample
  FROM told
  GROUP BY "jwt.iss", "jwt.jti", level, count
)
UNION ALL
FROM (
  WITH found AS NOT MATERIALIZED (
    SELECT "jwt.iss", "jwt.fingerprint", time, "audit.record.id", "geo.country.iso_code" AS value, "user_agent.original" AS other, hash("jwt.iss", "jwt.fingerprint") AS hashed
    FROM events
    WHERE ("event.name" IN ('jwt.validated', 'jwt.denied', 'jwt.rejected') AND "jwt.verified" = true AND "jwt.fingerprint" IS NOT NULL AND "jwt.jti" IS NULL)
  ), candidates AS MATERIALIZED (
    SELECT hashed FROM found GROUP BY hashed HAVING count(value) >= 2 AND min(value) <> max(value)
  ), kept AS MATERIALIZED (
    SELECT "jwt.iss", "jwt.fingerprint", hashed, value, other, unnest([min(time), max(time)]) AS time
    FROM found
    WHERE hashed IN (SELECT hashed FROM candidates)
    GROUP BY "jwt.iss", "jwt.fingerprint", hashed, value, other, time // 1800000000000
  ), windows AS (
    SELECT *, count(DISTINCT value) OVER past AS number, count(DISTINCT other) OVER past AS others
    FROM kept
    WINDOW past AS (
      PARTITION BY "jwt.iss", "jwt.fingerprint" ORDER BY time
      RANGE BETWEEN 1800000000000 /* 1800s */ PRECEDING AND CURRENT ROW
    )
  ), fullest AS MATERIALIZED (
    SELECT "jwt.iss", "jwt.fingerprint", max(if(others >= 2, 3, 2)) AS level, max(number) AS count, min(time) AS first, max(time) AS last,
      arg_max(time, {'number': number, 'age': -time}) AS shown, any_value(hashed) AS hashed
    FROM windows
    WHERE number >= 2
    GROUP BY "jwt.iss", "jwt.fingerprint"
  ), latest AS (
    SELECT fullest.*, value, max(kept.time) AS latest
    FROM fullest JOIN kept ON kept.hashed = fullest.hashed AND kept."jwt.iss" IS NOT DISTINCT FROM fullest."jwt.iss" AND kept."jwt.fingerprint" IS NOT DISTINCT FROM fullest."jwt.fingerprint"
      AND value IS NOT NULL AND kept.time BETWEEN last - 1800000000000 AND last
    GROUP BY ALL
  ), ends AS MATERIALIZED (
    SELECT * EXCLUDE (value, latest), list_min(max(latest, 2)) + 1800000000000 AS until
    FROM latest
    GROUP BY ALL
  ), told AS (
    SELECT ends.*, value, min(found.time) FILTER (found.time >= first - 1800000000000) AS since,
      max(found.time) FILTER (found.time <= until) AS final,
      min({'time': found.time, 'id': "audit.record.id"}) FILTER (
        value IS NOT NULL AND "audit.record.id" IS NOT NULL AND found.time BETWEEN shown - 1800000000000 AND shown
      ) AS example
    FROM ends JOIN found ON found.hashed = ends.hashed AND found."jwt.iss" IS NOT DISTINCT FROM ends."jwt.iss" AND found."jwt.fingerprint" IS NOT DISTINCT FROM ends."jwt.fingerprint"
    GROUP BY ALL
  )
  SELECT level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.fingerprint': "jwt.fingerprint"::VARCHAR} AS key, count, min(since) AS first, max(final) AS last,
    [one.id FOR one IN coalesce(min({'time': example.time, 'id': example.id}, 5) FILTER (example.id IS NOT NULL), [])] AS sample
  FROM told
  GROUP BY "jwt.iss", "jwt.fingerprint", level, count
);

-- One JWT used from many addresses
CREATE VIEW "token-many-addresses" AS
FROM (
  WITH found AS NOT MATERIALIZED (
    SELECT "jwt.iss", "jwt.jti", time, "audit.record.id", "client.address" AS value, hash("jwt.iss", "jwt.jti") AS hashed
    FROM events
    WHERE ("event.name" IN ('jwt.validated', 'jwt.denied', 'jwt.rejected') AND "jwt.verified" = true AND "jwt.jti" IS NOT NULL)
  ), candidates AS MATERIALIZED (
    SELECT hashed FROM found GROUP BY hashed HAVING count(value) >= 5 AND min(value) <> max(value)
  ), kept AS MATERIALIZED (
    SELECT "jwt.iss", "jwt.jti", hashed, value, unnest([min(time), max(time)]) AS time
    FROM found
    WHERE hashed IN (SELECT hashed FROM candidates)
    GROUP BY "jwt.iss", "jwt.jti", hashed, value, time // 600000000000
  ), windows AS (
    SELECT *, count(DISTINCT value) OVER past AS number
    FROM kept
    WINDOW past AS (
      PARTITION BY "jwt.iss", "jwt.jti" ORDER BY time
      RANGE BETWEEN 600000000000 /* 600s */ PRECEDING AND CURRENT ROW
    )
  ), fullest AS MATERIALIZED (
    SELECT "jwt.iss", "jwt.jti", 2 AS level, max(number) AS count, min(time) AS first, max(time) AS last,
      arg_max(time, {'number': number, 'age': -time}) AS shown, any_value(hashed) AS hashed
    FROM windows
    WHERE number >= 5
    GROUP BY "jwt.iss", "jwt.jti"
  ), latest AS (
    SELECT fullest.*, value, max(kept.time) AS latest
    FROM fullest JOIN kept ON kept.hashed = fullest.hashed AND kept."jwt.iss" IS NOT DISTINCT FROM fullest."jwt.iss" AND kept."jwt.jti" IS NOT DISTINCT FROM fullest."jwt.jti"
      AND value IS NOT NULL AND kept.time BETWEEN last - 600000000000 AND last
    GROUP BY ALL
  ), ends AS MATERIALIZED (
    SELECT * EXCLUDE (value, latest), list_min(max(latest, 5)) + 600000000000 AS until
    FROM latest
    GROUP BY ALL
  ), told AS (
    SELECT ends.*, value, min(found.time) FILTER (found.time >= first - 600000000000) AS since,
      max(found.time) FILTER (found.time <= until) AS final,
      min({'time': found.time, 'id': "audit.record.id"}) FILTER (
        value IS NOT NULL AND "audit.record.id" IS NOT NULL AND found.time BETWEEN shown - 600000000000 AND shown
      ) AS example
    FROM ends JOIN found ON found.hashed = ends.hashed AND found."jwt.iss" IS NOT DISTINCT FROM ends."jwt.iss" AND found."jwt.jti" IS NOT DISTINCT FROM ends."jwt.jti"
    GROUP BY ALL
  )
  SELECT level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.jti': "jwt.jti"::VARCHAR} AS key, count, min(since) AS first, max(final) AS last,
    [one.id FOR one IN coalesce(min({'time': example.time, 'id': example.id}, 5) FILTER (example.id IS NOT NULL), [])] AS sample
  FROM told
  GROUP BY "jwt.iss", "jwt.jti", level, count
)
UNION ALL
FROM (
  WITH found AS NOT MATERIALIZED (
    SELECT "jwt.iss", "jwt.fingerprint", time, "audit.record.id", "client.address" AS value, hash("jwt.iss", "jwt.fingerprint") AS hashed
    FROM events
    WHERE ("event.name" IN ('jwt.validated', 'jwt.denied', 'jwt.rejected') AND "jwt.verified" = true AND "jwt.fingerprint" IS NOT NULL AND "jwt.jti" IS NULL)
  ), candidates AS MATERIALIZED (
    SELECT hashed FROM found GROUP BY hashed HAVING count(value) >= 5 AND min(value) <> max(value)
  ), kept AS MATERIALIZED (
    SELECT "jwt.iss", "jwt.fingerprint", hashed, value, unnest([min(time), max(time)]) AS time
    FROM found
    WHERE hashed IN (SELECT hashed FROM candidates)
    GROUP BY "jwt.iss", "jwt.fingerprint", hashed, value, time // 600000000000
  ), windows AS (
    SELECT *, count(DISTINCT value) OVER past AS number
    FROM kept
    WINDOW past AS (
      PARTITION BY "jwt.iss", "jwt.fingerprint" ORDER BY time
      RANGE BETWEEN 600000000000 /* 600s */ PRECEDING AND CURRENT ROW
    )
  ), fullest AS MATERIALIZED (
    SELECT "jwt.iss", "jwt.fingerprint", 2 AS level, max(number) AS count, min(time) AS first, max(time) AS last,
      arg_max(time, {'number': number, 'age': -time}) AS shown, any_value(hashed) AS hashed
    FROM windows
    WHERE number >= 5
    GROUP BY "jwt.iss", "jwt.fingerprint"
  ), latest AS (
    SELECT fullest.*, value, max(kept.time) AS latest
    FROM fullest JOIN kept ON kept.hashed = fullest.hashed AND kept."jwt.iss" IS NOT DISTINCT FROM fullest."jwt.iss" AND kept."jwt.fingerprint" IS NOT DISTINCT FROM fullest."jwt.fingerprint"
      AND value IS NOT NULL AND kept.time BETWEEN last - 600000000000 AND last
    GROUP BY ALL
  ), ends AS MATERIALIZED (
    SELECT * EXCLUDE (value, latest), list_min(max(latest, 5)) + 600000000000 AS until
    FROM latest
    GROUP BY ALL
  ), told AS (
    SELECT ends.*, value, min(found.time) FILTER (found.time >= first - 600000000000) AS since,
      max(found.time) FILTER (found.time <= until) AS final,
      min({'time': found.time, 'id': "audit.record.id"}) FILTER (
        value IS NOT NULL AND "audit.record.id" IS NOT NULL AND found.time BETWEEN shown - 600000000000 AND shown
      ) AS example
    FROM ends JOIN found ON found.hashed = ends.hashed AND found."jwt.iss" IS NOT DISTINCT FROM ends."jwt.iss" AND found."jwt.fingerprint" IS NOT DISTINCT FROM ends."jwt.fingerprint"
    GROUP BY ALL
  )
  SELECT level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.fingerprint': "jwt.fingerprint"::VARCHAR} AS key, count, min(since) AS first, max(final) AS last,
    [one.id FOR one IN coalesce(min({'time': example.time, 'id': example.id}, 5) FILTER (example.id IS NOT NULL), [])] AS sample
  FROM told
  GROUP BY "jwt.iss", "jwt.fingerprint", level, count
);

-- One JWT used at a high rate
CREATE VIEW "token-high-rate" AS
FROM (
  WITH found AS NOT MATERIALIZED (
    SELECT "jwt.iss", "jwt.jti", time, "audit.record.id", hash("jwt.iss", "jwt.jti") AS hashed
    FROM events
    WHERE ("event.name" IN ('jwt.validated', 'jwt.denied', 'jwt.rejected') AND "jwt.verified" = true AND "jwt.jti" IS NOT NULL)
  ), candidates AS MATERIALIZED (
    SELECT hashed FROM found GROUP BY hashed HAVING count(*) > 300
  ), windows AS (
    SELECT *, count(*) OVER past AS number, min(time) OVER past AS since
    FROM found
    WHERE hashed IN (SELECT hashed FROM candidates)
    WINDOW past AS (
      PARTITION BY "jwt.iss", "jwt.jti" ORDER BY time
      RANGE BETWEEN 60000000000 /* 60s */ PRECEDING AND CURRENT ROW
    )
  ), fullest AS MATERIALIZED (
    SELECT "jwt.iss", "jwt.jti", 2 AS level, max(number) AS count, min(since) AS first, max(time) AS last,
      arg_max({'since': since, 'until': time}, {'number': number, 'age': -time}) AS shown,
      any_value(hashed) AS hashed
    FROM windows
    WHERE number > 300
    GROUP BY "jwt.iss", "jwt.jti"
  ), shown AS (
    SELECT fullest.*, 0 AS place, found.time AS moment, found."audit.record.id" AS id
    FROM fullest JOIN found ON found.hashed = fullest.hashed AND found."jwt.iss" IS NOT DISTINCT FROM fullest."jwt.iss" AND found."jwt.jti" IS NOT DISTINCT FROM fullest."jwt.jti"
      AND found.time BETWEEN fullest.shown.since AND fullest.shown.until
  )
  SELECT level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.jti': "jwt.jti"::VARCHAR} AS key, count, first, last,
    [one.id FOR one IN coalesce(min({'place': place, 'time': moment, 'id': id}, 5) FILTER (id IS NOT NULL), [])] AS sample
  FROM shown
  GROUP BY "jwt.iss", "jwt.jti", level, count, first, last
)
UNION ALL
FROM (
  WITH found AS NOT MATERIALIZED (
    SELECT "jwt.iss", "jwt.fingerprint", time, "audit.record.id", hash("jwt.iss", "jwt.fingerprint") AS hashed
    FROM events
    WHERE ("event.name" IN ('jwt.validated', 'jwt.denied', 'jwt.rejected') AND "jwt.verified" = true AND "jwt.fingerprint" IS NOT NULL AND "jwt.jti" IS NULL)
  ), candidates AS MATERIALIZED (
    SELECT hashed FROM found GROUP BY hashed HAVING count(*) > 300
  ), windows AS (
    SELECT *, count(*) OVER past AS number, min(time) OVER past AS since
    FROM found
    WHERE hashed IN (SELECT hashed FROM candidates)
    WINDOW past AS (
      PARTITION BY "jwt.iss", "jwt.fingerprint" ORDER BY time
      RANGE BETWEEN 60000000000 /* 60s */ PRECEDING AND CURRENT ROW
    )
  ), fullest AS MATERIALIZED (
    SELECT "jwt.iss", "jwt.fingerprint", 2 AS level, max(number) AS count, min(since) AS first, max(time) AS last,
      arg_max({'since': since, 'until': time}, {'number': number, 'age': -time}) AS shown,
      any_value(hashed) AS hashed
    FROM windows
    WHERE number > 300
    GROUP BY "jwt.iss", "jwt.fingerprint"
  ), shown AS (
    SELECT fullest.*, 0 AS place, found.time AS moment, found."audit.record.id" AS id
    FROM fullest JOIN found ON found.hashed = fullest.hashed AND found."jwt.iss" IS NOT DISTINCT FROM fullest."jwt.iss" AND found."jwt.fingerprint" IS NOT DISTINCT FROM fullest."jwt.fingerprint"
      AND found.time BETWEEN fullest.shown.since AND fullest.shown.until
  )
  SELECT level, MAP {'jwt.iss': "jwt.iss"::VARCHAR, 'jwt.fingerprint': "jwt.fingerprint"::VARCHAR} AS key, count, first, last,
    [one.id FOR one IN coalesce(min({'place': place, 'time': moment, 'id': id}, 5) FILTER (id IS NOT NULL), [])] AS sample
  FROM shown
  GROUP BY "jwt.iss", "jwt.fingerprint", level, count, first, last
);
