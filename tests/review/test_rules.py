"""Rules: what comes with the package is what the documentation says, and what users bring is understood or refused."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.review.model import (
    LIFETIME,
    TRUSTED,
    And,
    Compare,
    Equals,
    Escalation,
    Exists,
    Key,
    Not,
    Or,
    Rule,
    StartsWith,
)
from opentelemetry.instrumentation.pyjwt.review.rules import DEFAULTS, RuleError, load
from tests import isolated

DOCUMENTATION = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
TOKEN = (Key((semconv.ISS, semconv.JTI)), Key((semconv.ISS, semconv.FINGERPRINT)))
CLIENT = (Key((semconv.CLIENT_ADDRESS,)),)
SUBJECT = (Key((semconv.ISS, semconv.SUB)),)
ISSUER = (Key((semconv.ISS,)),)
USE = And((Equals(semconv.EVENT_NAME, (semconv.VALIDATED, semconv.DENIED, semconv.REJECTED)), verified := Equals(
    semconv.VERIFIED, (True,)
)))  # fmt: skip
TRIED = ("expired", "invalid_signature", "invalid_algorithm", "malformed", "revoked")


def event(name: str) -> Equals:
    return Equals(semconv.EVENT_NAME, (name,))


def reason(*values: str) -> Equals:
    return Equals(semconv.REASON, values)


REFRESH = Equals(semconv.TOKEN_USE, ("refresh",))
SERVED = (Compare(semconv.HTTP_STATUS, ">=", 200), Compare(semconv.HTTP_STATUS, "<", 300))
FAILED = And((event(semconv.REJECTED), reason(*TRIED)))
REVOKED = (event(semconv.REJECTED), reason("revoked"))
# name: level, shape, window, comparison and threshold, field, keys, condition
EXPECTED = {
    "token-multi-region": ("medium", "value_count", 1800, ">=2", semconv.COUNTRY, TOKEN, USE),
    "token-many-addresses": ("medium", "value_count", 600, ">=5", semconv.CLIENT_ADDRESS, TOKEN, USE),
    "token-high-rate": ("medium", "event_count", 60, ">300", "", TOKEN, USE),
    "rejected-burst-client": ("medium", "event_count", 600, ">=10", "", CLIENT, FAILED),
    "rejected-burst-subject": (
        *("medium", "event_count", 600, ">=10", "", SUBJECT),
        And((event(semconv.REJECTED), verified, reason("expired", "revoked"))),
    ),
    "revoked-token-used": ("high", "single", 0, ">=1", "", TOKEN + CLIENT, And((*REVOKED, Not(REFRESH)))),
    "refresh-token-reuse": ("critical", "single", 0, ">=1", "", TOKEN + CLIENT, And((*REVOKED, REFRESH))),
    "algorithm-confusion": (
        *("high", "single", 0, ">=1", "", CLIENT),
        And((event(semconv.REJECTED), reason("invalid_algorithm"))),
    ),
    "scope-probing": ("medium", "event_count", 600, ">=5", "", SUBJECT, event(semconv.DENIED)),
    "scope-gap": (
        *("high", "single", 0, ">=1", "", TOKEN),
        And((event(semconv.DENIED), Exists(semconv.SCOPE_MISSING), *SERVED)),
    ),
    "rejected-but-served": ("medium", "single", 0, ">=1", "", TOKEN + CLIENT, And((event(semconv.REJECTED), *SERVED))),
    "expired-accepted": (
        *("medium", "single", 0, ">=1", "", TOKEN),
        And((event(semconv.VALIDATED), Compare(semconv.EXPIRES_IN, "<", -300))),
    ),
    "unverified-token": (
        *("medium", "single", 0, ">=1", "", CLIENT),
        And((event(semconv.UNVERIFIED), Exists(semconv.HTTP_METHOD))),
    ),
    "failures-then-success": ("high", "temporal_ordered", 600, ">=5", "", CLIENT, FAILED),
    "posture-no-jti": (
        *("low", "single", 0, ">=1", "", ISSUER),
        And((event(semconv.ISSUED), Not(Exists(semconv.JTI)))),
    ),
    "posture-no-expiry": (
        *("low", "single", 0, ">=1", "", ISSUER),
        And((event(semconv.ISSUED), Not(Exists(semconv.EXP)))),
    ),
    "posture-long-lived": (
        *("low", "single", 0, ">=1", "", ISSUER),
        And((event(semconv.ISSUED), Compare(LIFETIME, ">", 86400), Not(REFRESH))),
    ),
    "posture-no-audience-check": (
        *("low", "single", 0, ">=1", "", ISSUER),
        And((event(semconv.VALIDATED), Not(Equals(semconv.CHECKS, ("aud",))))),
    ),
}

RULE = """\
title: Admin routes
name: admin-route
level: medium
logsource: {product: pyjwt, service: audit}
detection:
  admin:
    http.route|startswith: /admin
  condition: admin
x-group-by: [client.address]
"""
BASE = """\
title: Denied
name: denial
logsource: {product: pyjwt, service: audit}
detection:
  denied:
    event.name: jwt.denied
  condition: denied
---
"""
COUNT = f"""\
{BASE}title: Many routes
name: many-routes
level: low
correlation:
  type: value_count
  rules: [denial]
  group-by: [jwt.iss, jwt.sub]
  timespan: 1h
  condition:
    field: http.route
    gt: 3
"""
ORDERED = f"""\
{BASE}title: Validated
name: success
logsource: {{product: pyjwt, service: audit}}
detection:
  accepted:
    event.name: jwt.validated
  condition: accepted
---
title: In the end
name: in-the-end
level: low
correlation:
  type: temporal_ordered
  rules: [denial, success]
  group-by: [client.address]
  timespan: 5m
x-times:
  denial: 3
"""


@pytest.fixture(scope="module")
def rules() -> dict[str, Rule]:
    return {rule.name: rule for rule in load()}


def written(folder: Path, text: str) -> Path:
    file = folder / "rules.yml"
    file.write_text(text, encoding="utf-8")
    return file


def only(folder: Path, text: str) -> Rule:
    (rule,) = load(written(folder, text))
    return rule


# --- The rules of the package -------------------------------------------------------------------------------


def test_every_rule_is_there(rules: dict[str, Rule]) -> None:
    assert rules.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_rule_looks_for_what_it_should(name: str, rules: dict[str, Rule]) -> None:
    rule = rules[name]
    bound = f"{rule.comparison}{rule.threshold}"
    assert (rule.level, rule.shape, rule.window, bound, rule.field, rule.keys, rule.condition) == EXPECTED[name]
    assert rule.then == (event(semconv.VALIDATED) if name == "failures-then-success" else None)
    escalation = Escalation("high", semconv.USER_AGENT, 2) if name == "token-multi-region" else None
    assert rule.escalation == escalation


@pytest.mark.parametrize("name", EXPECTED)
def test_a_rule_tells_an_analyst_what_to_make_of_it(name: str, rules: dict[str, Rule]) -> None:
    rule = rules[name]
    assert min(len(rule.title), len(rule.description), len(rule.response)) > 15
    assert all(one.startswith("https://") for one in rule.references)
    assert rule.references
    assert rule.false_positives
    assert any(re.fullmatch(r"attack\.t\d{4}(\.\d{3})?", tag) for tag in rule.tags)
    assert any(re.fullmatch(r"attack\.[a-z-]+", tag) for tag in rule.tags)
    assert uuid.UUID(rule.id).version == 4


def test_ids_of_all_documents_differ() -> None:
    ids = [line for file in DEFAULTS.glob("*.yml") for line in file.read_text().splitlines() if line.startswith("id:")]
    assert len(ids) == len(set(ids)) > len(EXPECTED)


def test_claims_are_a_key_only_if_vouched_for() -> None:
    assert TOKEN[0].condition == And((TRUSTED, Exists(semconv.JTI)))
    assert ISSUER[0].condition == TRUSTED
    assert CLIENT[0].condition == Exists(semconv.CLIENT_ADDRESS)


def test_the_smallest_number_that_is_found(rules: dict[str, Rule]) -> None:
    assert (rules["token-high-rate"].least, rules["scope-probing"].least) == (301, 5)


def test_every_dotted_name_is_an_event_an_attribute_or_a_metric() -> None:
    dotted = {value for name, value in vars(semconv).items() if name.isupper() and type(value) is str and "." in value}
    others = dotted - semconv.ATTRIBUTES - set(semconv.EVENTS) - {semconv.CHECKPOINT, semconv.CLAIM_PREFIX}
    assert others == {
        *("jwt.validation.duration", "jwt.tokens.issued", "jwt.tokens.revoked", "jwt.scope.denials"),
        *("jwt.audit.records.written", "jwt.audit.records.dropped", "jwt.audit.records.forwarded"),
        "jwt.audit.journal.pending",
    }  # fmt: skip
    assert dotted >= semconv.ATTRIBUTES


def test_rules_are_read_without_what_emits() -> None:
    shown = isolated.run("""
    import sys
    from opentelemetry.instrumentation.pyjwt.review.rules import load
    known = ("opentelemetry.sdk", "jwt", "fastapi", "typer")
    print(len(load()), [name for name in known if name in sys.modules])
    """)
    assert shown.stdout == f"{len(EXPECTED)} []\n"


def test_the_documentation_lists_every_rule_with_its_level(rules: dict[str, Rule]) -> None:
    rows = [line.split("|") for line in DOCUMENTATION.splitlines() if line.startswith("|")]
    told = {name.strip(): row[3].split(";")[0].strip() for row in rows if len(row) == 5 for name in row[1].split(",")}
    assert {name: told.get(name) for name in rules} == {name: rule.level for name, rule in rules.items()}


# --- Rules that users bring -----------------------------------------------------------------------------------


def test_a_single_event(tmp_path: Path) -> None:
    rule = only(tmp_path, RULE)
    assert (rule.shape, rule.condition, rule.keys) == ("single", StartsWith("http.route", ("/admin",)), CLIENT)
    assert rule.id == only(tmp_path, RULE).id
    assert rule.source == "rules.yml"


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", DOCUMENTATION, re.DOTALL)
    rule = only(tmp_path, example)
    assert (rule.name, rule.shape, rule.window, rule.least, rule.keys) == (
        "admin-probe",
        "event_count",
        300,
        3,
        SUBJECT,
    )


def test_a_count_of_events(tmp_path: Path) -> None:
    text = COUNT.replace("type: value_count", "type: event_count").replace("    field: http.route\n", "")
    rule = only(tmp_path, text)
    assert (rule.shape, rule.window, rule.comparison, rule.threshold) == ("event_count", 3600, ">", 3)


def test_a_count_of_values(tmp_path: Path) -> None:
    rule = only(tmp_path, COUNT)
    assert (rule.shape, rule.field, rule.keys) == ("value_count", "http.route", SUBJECT)
    assert rule.condition == event(semconv.DENIED)


def test_one_thing_after_another(tmp_path: Path) -> None:
    rule = only(tmp_path, ORDERED)
    assert (rule.shape, rule.threshold, rule.window) == ("temporal_ordered", 3, 300)
    assert (rule.condition, rule.then) == (event(semconv.DENIED), event(semconv.VALIDATED))


def test_several_rules_are_counted_as_one(tmp_path: Path) -> None:
    text = ORDERED.replace("temporal_ordered", "event_count").replace("x-times:\n  denial: 3\n", "")
    rule = only(tmp_path, text.replace("timespan: 5m", "timespan: 5m\n  condition: {gte: 4}"))
    assert rule.condition == Or((event(semconv.DENIED), event(semconv.VALIDATED)))


def test_an_edited_copy_replaces_the_rule_of_its_name(tmp_path: Path) -> None:
    text = (DEFAULTS / "stolen-token.yml").read_text()
    written(tmp_path, text.replace("gt: 300", "gt: 30"))
    before, after = ({rule.name: rule for rule in load(*paths)} for paths in ((DEFAULTS,), (DEFAULTS, tmp_path)))
    assert after["token-high-rate"].threshold == 30
    assert {name for name in before if before[name].condition != after[name].condition} == set()
    assert before.keys() == after.keys()


def test_a_rule_that_is_not_wanted_is_left_out(tmp_path: Path) -> None:
    written(tmp_path, RULE.replace("admin-route", "posture-no-jti") + "status: unsupported\n")
    assert {rule.name for rule in load(DEFAULTS, tmp_path)} == EXPECTED.keys() - {"posture-no-jti"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a and b or c", "((a & b) | c)"),
        ("a or b and c", "(a | (b & c))"),
        ("not a and b", "(!a & b)"),
        ("not (a or b) and c", "(!(a | b) & c)"),
        ("1 of them", "(a | b | c)"),
        ("all of [abc]", "(a & b & c)"),
        ("a and not 1 of [bc]", "(a & !(b | c))"),
    ],
)
def test_conditions_bind_as_in_sigma(words: str, expected: str, tmp_path: Path) -> None:
    def shown(condition: object) -> str:
        match condition:
            case And(parts):
                return f"({' & '.join(map(shown, parts))})"
            case Or(parts):
                return f"({' | '.join(map(shown, parts))})"
            case Not(part):
                return f"!{shown(part)}"
            case Equals(_, (value,)):
                return str(value)
        raise AssertionError(condition)

    selections = "".join(f"  {one}: {{jwt.alg: {one}}}\n" for one in "abc" if one in words or "them" in words)
    text = re.sub(r"detection:\n(  .*\n)*", f"detection:\n{selections}  condition: {words}\n", RULE)
    assert shown(only(tmp_path, text).condition) == expected


@pytest.mark.parametrize(
    ("written_as", "expected"),
    [
        ("jwt.alg: [HS256, none]", Equals("jwt.alg", ("HS256", "none"))),
        ("jwt.alg|cased: HS256", Equals("jwt.alg", ("HS256",))),
        ("jwt.verified: false", Equals("jwt.verified", (False,))),
        ("http.response.status_code: 500", Equals("http.response.status_code", (500,))),
        ("jwt.sub: null", Not(Exists("jwt.sub"))),
        ("jwt.sub: [null, root]", Or((Equals("jwt.sub", ("root",)), Not(Exists("jwt.sub"))))),
        ("jwt.sub|exists: false", Not(Exists("jwt.sub"))),
        ("jwt.expires_in|lte: -1.5", Compare("jwt.expires_in", "<=", -1.5)),
        ("jwt.claims.tenant: acme", Equals("jwt.claims.tenant", ("acme",))),
        ("jwt.scope.granted: admin", Equals("jwt.scope.granted", ("admin",))),
    ],
)
def test_fields_and_values(written_as: str, expected: object, tmp_path: Path) -> None:
    assert only(tmp_path, RULE.replace("http.route|startswith: /admin", written_as)).condition == expected


def test_attributes_of_one_s_own_are_named(tmp_path: Path) -> None:
    text = RULE.replace("http.route|startswith: /admin", "tenant.id: acme")
    assert only(tmp_path, text + "fields: [tenant.id]\n").condition == Equals("tenant.id", ("acme",))


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        ("http.route|startswith", "http.rout|startswith", "detection", "no attribute http.rout; one of your own"),
        ("http.route|startswith", "jwt.isss|startswith", "detection", "no attribute jwt.isss"),
        ("http.route|startswith", "http.route|re", "detection.admin.http.route|re", "modifier re is not supported"),
        ("http.route|startswith", "http.route|gt", "detection.admin.http.route|gt", "one number"),
        ("http.route|startswith", "jwt.aud|startswith", "detection.admin.jwt.aud|startswith", "no list"),
        ("/admin", "/admin*", "detection.admin.http.route|startswith", "without wildcards"),
        ("condition: admin", "condition: admin and other", "detection.condition", "no selection other"),
        ("condition: admin", "condition: admin and", "detection.condition", "missing at its end"),
        ("condition: admin", "condition: (admin", "detection.condition", "not closed"),
        ("condition: admin", "condition: admin admin", "detection.condition", "not expected"),
        ("condition: admin", "condition: [admin]", "detection.condition", "must be text"),
        ("condition: admin", f"condition: {'(' * 5000}admin", "", "nested too deeply"),
        ("condition: admin", "other: {jwt.alg: none}\n  condition: admin", "detection.condition", "mention other"),
        ("/admin", "/admin\n    http.route|startswith: /x", "line 7", "http.route|startswith stands there twice"),
        ("title: Admin routes\n", "", "title", "must be text"),
        ("level: medium", "level: bad", "level", "one of informational"),
        ("name: admin-route", "name: 'a b'", "name", "letters, digits"),
        ("name: admin-route\n", "", "name", "must be text"),
        ("product: pyjwt", "product: windows", "logsource.product", "must be pyjwt"),
        ("x-group-by: [client.address]", "", "x-group-by", "list of attributes"),
        ("x-group-by: [client.address]", "x-group-by: [jwt.aud]", "x-group-by", "cannot be grouped"),
        ("x-group-by:", "x-groupby: 1\nx-group-by:", "x-groupby", "is not known"),
        ("x-group-by:", "x-times: {a: 1}\nx-group-by:", "x-times", "no meaning"),
        ("x-group-by:", "id: 7\nx-group-by:", "id", "must be a UUID"),
        ("detection:", "detections:", "rule 1", "a detection or a correlation"),
        ("title: ", "title: [", "line", "is no YAML"),
    ],
)  # fmt: skip
def test_a_malformed_rule_is_refused(old: str, new: str, field: str, reason: str, tmp_path: Path) -> None:
    assert old in RULE
    refused(written(tmp_path, RULE.replace(old, new, 1)), field, reason)


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        ("gt: 3", "gt: many", "correlation.condition.gt", "whole number"),
        ("gt: 3", "gte: 0", "correlation.condition.gte", "whole number of 1 or more"),
        ("gt: 3", "lt: 3", "correlation.condition", "one of gte and gt"),
        ("field: http.route", "field: http.rout", "correlation.condition.field", "no attribute http.rout"),
        ("    field: http.route\n", "", "correlation.condition.field", "must be text"),
        ("timespan: 1h", "timespan: 1 hour", "correlation.timespan", "10m"),
        ("  timespan: 1h\n", "", "correlation.timespan", "10m"),
        ("timespan:", "timeframe:", "correlation.timeframe", "is not supported"),
        ("value_count", "temporal", "correlation.type", "must be one of event_count"),
        ("value_count", "temporal_ordered", "correlation.rules", "must be two rules"),
        ("rules: [denial]", "rules: [denials]", "correlation.rules", "denials is no rule of this file"),
        ("rules: [denial]", "rules: []", "correlation.rules", "must name"),
        ("group-by: [jwt.iss, jwt.sub]", "group-by: [jwt.subject]", "correlation.group-by", "no attribute jwt.subject"),
        ("level: low", "level: low\nx-escalation: {level: high, field: jwt.kid}", "x-escalation", "one of gte and gt"),
        ("level: low", "level: low\nx-group-by: [jwt.kid]", "x-group-by", "has no meaning for value_count"),
    ],
)
def test_a_malformed_correlation_is_refused(old: str, new: str, field: str, reason: str, tmp_path: Path) -> None:
    assert old in COUNT
    refused(written(tmp_path, COUNT.replace(old, new)), field, reason)


def test_what_must_have_matched_is_the_first(tmp_path: Path) -> None:
    refused(
        written(tmp_path, ORDERED.replace("  denial: 3", "  success: 3")), "x-times", "how often denial has matched"
    )


def test_correlations_of_correlations_are_refused(tmp_path: Path) -> None:
    text = f"{COUNT}---\n{ORDERED.removeprefix(BASE)}".replace("[denial, success]", "[many-routes, success]")
    refused(written(tmp_path, text), "in-the-end.correlation.rules", "itself a correlation")


def test_two_rules_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(RULE)
    written(tmp_path, RULE)
    with pytest.raises(RuleError, match=r"rules\.yml: admin-route\.name: is the name of another rule"):
        load(tmp_path)


def test_a_folder_without_rules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="no rule in this folder"):
        load(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_bytes(b"\xff\xfe\x00")
    refused(tmp_path / "rules.yml", "", "is no YAML")


def refused(file: Path, field: str, reason: str) -> None:
    with pytest.raises(RuleError) as caught:
        load(file)
    assert caught.value.file == file
    assert field in caught.value.field
    assert reason in caught.value.reason
    assert str(caught.value).startswith(f"{file}: ")
