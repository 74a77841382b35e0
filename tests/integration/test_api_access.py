"""The query API as each role sees it: who is let in, to what, how often, and what a second look costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from schemas.alert import Alert
from schemas.instant import from_datetime
from schemas.sla import SlaKind
from services.alerts import app as api
from services.alerts import state
from services.alerts.access import table
from services.alerts.api.docs import POLICY
from services.alerts.feed import Feed
from services.alerts.store import RedisStore
from services.config.access import Role
from services.config.document import parse
from services.operate.health import Health
from services.operate.problem import PREFIX
from services.state import client
from tests.support.counting import Counting, created, solved
from tests.support.issuer import URL, TestIssuer
from tests.support.sla import announcement

pytestmark = [pytest.mark.anyio, pytest.mark.redis, pytest.mark.timeout(120)]

NOW = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
SECRETS = {"viewer": "s-viewer", "lead": "s-lead", "admin": "s-admin", "team": "s-team", "plain": "s-plain"}
CONFIG = f"""
sources:
  zendesk: {{vendor: zendesk, secrets: [s3cret]}}
sla_policies:
  - {{name: all, targets: {{first_response: {{"*": 4h}}}}}}
segments: [[team], [agent], [team, agent]]
receivers:
  hook: {{webhook: {{url: "https://hooks.example/", secrets: ["whsec_c2VjcmV0"]}}}}
rules:
  - {{name: of-the-file, type: threshold, kpi: backlog, above: 40}}
api_tokens:
  - s-plain
  - {{token: s-viewer, name: wallboard, role: viewer}}
  - {{token: s-lead, name: Kim, role: lead}}
  - {{token: s-admin, name: Ana, role: admin}}
  - {{token: s-team, name: Bo, role: lead, teams: [billing]}}
api:
  streams: 2
  oidc: {{issuer: "{URL}", audience: deskpulse, roles: {{support-leads: lead}}}}
"""


class Asked:
    """The app, with a client for each token; ``anyone`` has none."""

    def __init__(self, app: Any, url: str, store: RedisStore, registry: CollectorRegistry) -> None:
        self.app = app
        self.store = store
        self.registry = registry
        transport = httpx.ASGITransport(app)
        self.anyone = httpx.AsyncClient(transport=transport, base_url=url)
        self.of = {name: self.holding(secret) for name, secret in SECRETS.items()}

    def holding(self, token: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url="http://api",
            headers={"authorization": f"Bearer {token}"},
        )


@asynccontextmanager
async def built(redis_url: str, text: str, issuer: TestIssuer | None = None) -> AsyncIterator[Asked]:
    writer, reader, blocking = (
        client.writer(redis_url),
        client.reader(redis_url),
        client.blocking(redis_url, connections=2),
    )
    registry = CollectorRegistry()
    app = api.build(
        parse(text, {}),
        writer=writer,
        reader=reader,
        feed=Feed(blocking, reader),
        health=Health(),
        registry=registry,
        now=lambda: NOW,
        keys_from=issuer.fetch if issuer is not None else None,
    )
    yield Asked(app, "http://api", RedisStore(writer, reader), registry)
    for one in (writer, reader, blocking):
        await one.aclose()


@pytest.fixture
def issuer() -> TestIssuer:
    return TestIssuer()


@pytest.fixture
async def asked(redis_db: str, issuer: TestIssuer) -> AsyncIterator[Asked]:
    async with built(redis_db, CONFIG, issuer) as found:
        yield found


async def alert(asked: Asked, ticket_id: str = "5158", **labels: str) -> Alert:
    step = state.decide(None, announcement(SlaKind.BREACHED, 1, ticket_id=ticket_id), NOW)
    assert step is not None
    if labels:
        assert step.event is not None
        changed = {**step.after.labels, **labels}
        after = _replaced(step.after, labels=changed)
        step = _replaced(step, after=after, event=_replaced(step.event, alert=after))
    assert await asked.store.apply(step)
    return step.after


def _replaced(struct: Any, **fields: Any) -> Any:
    import dataclasses

    import msgspec

    if dataclasses.is_dataclass(struct):
        return dataclasses.replace(struct, **fields)  # type: ignore[type-var]
    return msgspec.structs.replace(struct, **fields)


def filled(path: str) -> str:
    """A path with something in every place."""
    values = {"kpi": "backlog", "source": "zendesk", "name": "none", "file": "start.js"}
    for name in ("kpi", "source", "ticket_id", "alert_id", "delivery_id", "silence_id", "name", "file"):
        path = path.replace(f"{{{name}}}", values.get(name, "5158"))
    assert "{" not in path, "say above what stands for it"
    return path


def problem(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return str(answer.json()["type"]).removeprefix(PREFIX)


async def test_every_route_is_in_the_table_and_every_row_has_its_route(asked: Asked) -> None:
    there = set(table.routes(asked.app))
    assert {one for one in there if table.row_of(*one) is None} == set()
    assert len(there) > 30


async def test_a_route_that_is_forgotten_in_the_table_keeps_the_api_from_starting(asked: Asked) -> None:
    asked.app.add_api_route("/v1/secrets", lambda: None)
    with pytest.raises(RuntimeError, match=r"GET /v1/secrets"):
        table.complete(asked.app)
    assert (await asked.of["admin"].get("/v1/secrets")).status_code == 404


def rows() -> Iterator[table.Row]:
    yield from (row for row in table.ROWS if not row.path.endswith("/stream"))


async def test_no_route_lets_anybody_in_who_has_no_token_or_too_little_of_a_role(asked: Asked) -> None:
    there = set(table.routes(asked.app))
    for row in rows():
        if (row.method, row.path) not in there:
            continue
        path = filled(row.path)
        anyone = await asked.anyone.request(row.method, path)
        if row.role is None:
            assert anyone.status_code != 401, row
            assert "www-authenticate" not in anyone.headers  # a link without its signature is a 403 of its own
            continue
        assert (anyone.status_code, problem(anyone)) == (401, "unauthorized"), row
        assert anyone.headers["www-authenticate"] == 'Bearer realm="deskpulse"'
        for role in Role:
            answer = await asked.of[role.value].request(row.method, path)
            if role.covers(row.role):
                assert answer.status_code not in (401, 403), (row, role)
            else:
                assert (answer.status_code, problem(answer)) == (403, "forbidden"), (row, role)
                assert answer.json()["needed"] == row.role.value
                assert "insufficient_scope" in answer.headers["www-authenticate"]


async def test_live_streams_ask_for_a_token_too(asked: Asked) -> None:
    for row in table.ROWS:
        if row.path.endswith("/stream"):
            assert (await asked.anyone.get(row.path)).status_code == 401


async def test_strangers_do_not_learn_which_paths_there_are_and_holders_do(asked: Asked) -> None:
    assert (await asked.anyone.get("/v1/nothing")).status_code == 401
    assert (await asked.of["viewer"].get("/v1/nothing")).status_code == 404
    wrong = await asked.of["viewer"].delete("/v1/alerts")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic czpz", "s-admin", "Bearer s-admin2", "Bearer a.b.c"])
async def test_what_is_no_token_is_answered_401(asked: Asked, header: str) -> None:
    answer = await asked.anyone.get("/v1/alerts", headers={"authorization": header})
    assert (answer.status_code, problem(answer)) == (401, "unauthorized")
    assert "s-admin2" not in answer.text


async def test_a_plain_token_may_do_everything(asked: Asked) -> None:
    answer = await asked.of["plain"].put("/v1/rules/full", json={"type": "threshold", "kpi": "backlog", "above": 4})
    assert answer.status_code == 200


async def test_who_acts_is_who_the_token_says(asked: Asked) -> None:
    path = f"/v1/alerts/{(await alert(asked)).alert_id}/acknowledge"
    other = await asked.of["lead"].post(path, json={"by": "Ana"})
    assert (other.status_code, problem(other)) == (422, "another-name")
    assert (await asked.of["lead"].post(path)).json()["acknowledged_by"] == "Kim"


async def test_with_a_token_without_a_name_somebody_may_say_who_they_are(asked: Asked) -> None:
    path = f"/v1/alerts/{(await alert(asked)).alert_id}/acknowledge"
    assert (await asked.of["plain"].post(path, json={"by": "Zoe"})).json()["acknowledged_by"] == "Zoe"


async def test_a_lead_of_a_team_acts_on_its_alerts_and_on_no_other(asked: Asked) -> None:
    ours, theirs = await alert(asked, "1", team="billing"), await alert(asked, "2", team="technical")
    assert (await asked.of["team"].post(f"/v1/alerts/{ours.alert_id}/resolve")).status_code == 200
    refused = await asked.of["team"].post(f"/v1/alerts/{theirs.alert_id}/resolve")
    assert (refused.status_code, problem(refused)) == (403, "not-your-team")
    assert (await asked.of["team"].get(f"/v1/alerts/{theirs.alert_id}")).json()["state"] == "firing"


async def test_somebody_of_the_issuer_acts_in_their_own_name(asked: Asked, issuer: TestIssuer) -> None:
    person = asked.holding(issuer.token(NOW, preferred_username="kim@example.com"))
    path = f"/v1/alerts/{(await alert(asked)).alert_id}/acknowledge"
    assert (await person.post(path)).json()["acknowledged_by"] == "kim@example.com"
    assert (await person.put("/v1/rules/x", json={})).status_code == 403


async def test_an_issuer_that_is_away_is_503_and_tokens_of_the_document_still_work(
    asked: Asked, issuer: TestIssuer
) -> None:
    issuer.away = httpx.ConnectError("gone")
    answer = await asked.holding(issuer.token(NOW)).get("/v1/alerts")
    assert (answer.status_code, problem(answer), answer.headers["retry-after"]) == (503, "issuer-away", "5")
    assert (await asked.of["viewer"].get("/v1/alerts")).status_code == 200
    assert asked.registry.get_sample_value("deskpulse_api_refused_total", {"reason": "issuer-away"}) == 1


async def test_what_is_wrong_with_a_persons_token_is_said(asked: Asked, issuer: TestIssuer) -> None:
    old = await asked.holding(issuer.token(NOW - timedelta(days=1))).get("/v1/alerts")
    assert (old.status_code, "expired" in old.json()["detail"]) == (401, True)
    assert 'error="invalid_token"' in old.headers["www-authenticate"]
    nobody = await asked.holding(issuer.token(NOW, roles=["cooks"])).get("/v1/alerts")
    assert (nobody.status_code, problem(nobody)) == (403, "no-role")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/kpis?segment=agent:a1",
        "/v1/kpis?segment=agent:a1,team:t1",
        "/v1/kpis/backlog?by=agent",
        "/v1/kpis/backlog?by=team,agent",
        "/v1/kpis/backlog/series?window=24h&step=1h&segment=agent:a1",
        "/v1/kpis/backlog/why?agents=true",
        "/v1/kpis/backlog/why?segment=agent:a1",
    ],
)
async def test_numbers_about_single_agents_are_not_for_viewers(asked: Asked, path: str) -> None:
    refused = await asked.of["viewer"].get(path)
    assert (refused.status_code, problem(refused)) == (403, "forbidden")
    assert refused.json()["needed"] == "lead"
    assert (await asked.of["lead"].get(path)).status_code == 200


async def test_alerts_of_rules_about_single_agents_are_not_for_viewers(asked: Asked) -> None:
    ticket = await alert(asked, "1", agent="a1")
    judged = await alert(asked, "2", agent="a1", rule="slow-agents")
    seen = {one["alert_id"] for one in (await asked.of["viewer"].get("/v1/alerts")).json()["alerts"]}
    assert seen == {ticket.alert_id}
    assert (await asked.of["viewer"].get(f"/v1/alerts/{judged.alert_id}")).status_code == 403
    assert (await asked.of["lead"].get(f"/v1/alerts/{judged.alert_id}")).status_code == 200
    assert len((await asked.of["lead"].get("/v1/alerts")).json()["alerts"]) == 2
    what = {"match": {"agent": ["a1"]}}
    covered = (await asked.of["viewer"].post("/v1/silences/preview", json=what)).json()["covers"]
    assert (covered["count"], [one["alert_id"] for one in covered["alerts"]]) == (2, [ticket.alert_id])
    shown = (await asked.of["lead"].get("/v1/board")).json()["alerts"]
    assert {one["alert_id"] for one in (*shown["alerts"], *shown["wins"])} == {ticket.alert_id}


async def test_agents_can_be_shown_to_viewers_by_choice(redis_db: str) -> None:
    async with built(redis_db, CONFIG.replace("  streams: 2", "  streams: 2\n  agents_visible_to: viewer")) as asked:
        assert (await asked.of["viewer"].get("/v1/kpis/backlog?by=agent")).status_code == 200


async def test_without_tokens_everybody_may_do_everything(redis_db: str) -> None:
    async with built(redis_db, "segments: [[agent]]") as asked:
        assert (await asked.anyone.get("/v1/kpis/backlog?by=agent")).status_code == 200
        rule = {"type": "threshold", "kpi": "backlog", "above": 4}
        assert (await asked.anyone.put("/v1/rules/full", json=rule)).status_code == 200


async def test_a_changed_document_takes_a_token_away_at_once(asked: Asked) -> None:
    api.follow(asked.app, parse(CONFIG.replace("s-viewer", "another"), {}))
    assert (await asked.of["viewer"].get("/v1/alerts")).status_code == 401
    assert (await asked.of["lead"].get("/v1/alerts")).status_code == 200


async def test_each_caller_has_an_allowance_of_their_own(redis_db: str) -> None:
    text = CONFIG.replace("  streams: 2", "  requests_per_minute: 60\n  burst: 3")
    async with built(redis_db, text) as asked:
        answers = [await asked.of["viewer"].get("/v1/policies") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        first, last = answers[0], answers[-1]
        assert first.headers["ratelimit-policy"] == '"default";q=3;w=3'
        assert first.headers["ratelimit"] == '"default";r=2;t=1'
        assert problem(last) == "too-many-requests"
        assert last.headers["retry-after"] == "1"
        assert last.headers["ratelimit"].startswith('"default";r=0;t=')
        assert (await asked.of["lead"].get("/v1/policies")).status_code == 200
        guesses = [(await asked.holding(f"guess-{n}").get("/v1/policies")).status_code for n in range(4)]
        assert guesses == [401, 401, 401, 429]
        assert (await asked.anyone.get("/livez")).status_code == 200


async def test_nobody_may_hold_more_streams_than_their_share(asked: Asked) -> None:
    parts = asked.app.state.context
    for _ in range(2):
        parts.streams.opened("token wallboard")
    refused = await asked.of["viewer"].get("/v1/alerts/stream")
    assert (refused.status_code, problem(refused)) == (429, "too-many-streams")
    parts.streams.closed("token wallboard")
    assert parts.streams.of("token wallboard") == 1


@pytest.mark.parametrize(
    "path", ["/v1/alerts", "/v1/policies", "/v1/sources", "/v1/rules", "/v1/receivers", "/v1/deliveries"]
)
async def test_who_has_an_answer_is_told_so_until_it_changes(asked: Asked, path: str) -> None:
    first = await asked.of["viewer"].get(path)
    tag = first.headers["etag"]
    assert not tag.startswith("W/")
    again = await asked.of["viewer"].get(path, headers={"if-none-match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert "content-length" not in again.headers
    if path == "/v1/alerts":
        await alert(asked)
        assert (await asked.of["viewer"].get(path, headers={"if-none-match": tag})).status_code == 200


async def test_kpis_have_no_validator_for_each_is_of_its_own_moment_and_nothing_is_kept_on_the_way(
    asked: Asked,
) -> None:
    answer = await asked.of["viewer"].get("/v1/kpis")
    assert "etag" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert (await asked.of["viewer"].get("/v1/policies")).headers["cache-control"] == "private, no-cache"
    timers = await asked.of["viewer"].get("/v1/sla/timers")
    assert timers.headers["etag"].startswith("W/")
    assert "authorization" in timers.headers["vary"].lower()


RULE: dict[str, Any] = {"type": "threshold", "kpi": "backlog", "above": 40}


async def test_two_who_change_a_rule_do_not_overwrite_each_other(asked: Asked) -> None:
    ana, plain = asked.of["admin"], asked.of["plain"]
    made = await ana.put("/v1/rules/full", json=RULE, headers={"if-none-match": "*"})
    assert made.status_code == 200
    twice = await plain.put("/v1/rules/full", json=RULE, headers={"if-none-match": "*"})
    assert (twice.status_code, problem(twice)) == (412, "rule-has-changed")
    seen = (await plain.get("/v1/rules/full")).headers["etag"]
    assert seen == made.headers["etag"]
    answers = await asyncio.gather(
        *(
            who.put("/v1/rules/full", json=RULE | {"above": 50 + number}, headers={"if-match": seen})
            for number, who in enumerate([ana, plain] * 5)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9
    late = await ana.delete("/v1/rules/full", headers={"if-match": seen})
    assert (late.status_code, problem(late)) == (412, "rule-has-changed")
    assert late.json()["version"] == (await ana.get("/v1/rules/full")).json()["version"]
    newest = (await ana.get("/v1/rules/full")).headers["etag"]
    assert (await ana.delete("/v1/rules/full", headers={"if-match": newest})).status_code == 204
    assert (await ana.put("/v1/rules/full", json=RULE, headers={"if-match": "*"})).status_code == 412
    assert (await ana.put("/v1/rules/full", json=RULE)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/alerts", "/v1/sla/timers", "/v1/deliveries", "/v1/kpis/backlog?by=team"])
@pytest.mark.parametrize("cursor", ["x", "%00", "AAAA", "cm93cx4", "ZGVsaXZlcmllcx54", "9" * 400])
async def test_a_cursor_that_is_none_is_refused(asked: Asked, path: str, cursor: str) -> None:
    separator = "&" if "?" in path else "?"
    answer = await asked.of["viewer"].get(f"{path}{separator}cursor={cursor}")
    assert (answer.status_code, problem(answer)) == (400, "bad-cursor")


async def test_rows_come_in_pages_that_hold_each_of_them_once(asked: Asked, redis_db: str) -> None:
    redis = client.writer(redis_db)
    counting = Counting(redis, parse(CONFIG, {}))
    at_us = from_datetime(NOW)
    await counting.count([created(str(n), at_us, team=f"t{n:02}") for n in range(7)], at_us)
    await redis.aclose()
    for more in ("", "&compare=1h"):
        whole = (await asked.of["viewer"].get(f"/v1/kpis/tickets_created?by=team{more}")).json()
        assert (len(whole["rows"]), whole["next_cursor"]) == (7, None)
        seen: list[Any] = []
        cursor = ""
        while True:
            path = f"/v1/kpis/tickets_created?by=team&limit=3&cursor={cursor}{more}"
            page = (await asked.of["viewer"].get(path)).json()
            seen += page["rows"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == whole["rows"]


async def test_there_are_no_rows_before_the_first_ticket_was_counted(asked: Asked, redis_db: str) -> None:
    redis = client.writer(redis_db)
    await Counting(redis, parse(CONFIG, {})).count([], from_datetime(NOW))  # the partitions are owned, and empty
    await redis.aclose()
    for more in ("", "&compare=1h"):
        answer = await asked.of["viewer"].get(f"/v1/kpis/tickets_created?by=team{more}")
        assert (answer.status_code, answer.json()["rows"]) == (200, [])


async def test_a_long_timeline_comes_in_pages(asked: Asked, redis_db: str) -> None:
    redis = client.writer(redis_db)
    counting = Counting(redis, parse(CONFIG, {}))
    at_us = from_datetime(NOW)
    await counting.count([created("5158", at_us), *(solved("5158", at_us + n) for n in range(1, 5))], at_us)
    await redis.aclose()
    path = "/v1/tickets/zendesk/5158"
    whole = (await asked.of["viewer"].get(path)).json()
    assert (len(whole["timeline"]), whole["next_cursor"]) == (5, None)
    first = (await asked.of["viewer"].get(f"{path}?limit=3")).json()
    rest = (await asked.of["viewer"].get(f"{path}?limit=3&cursor={first['next_cursor']}")).json()
    assert first["timeline"] + rest["timeline"] == whole["timeline"]
    assert rest["next_cursor"] is None
    for wrong in ("x", "dGltZWxpbmUeMDA"):
        assert problem(await asked.of["viewer"].get(f"{path}?cursor={wrong}")) == "bad-cursor"


async def test_the_documentation_is_served_from_here_alone(asked: Asked) -> None:
    page = await asked.anyone.get("/docs")
    assert page.headers["content-security-policy"] == POLICY
    assert "//" not in page.text.replace("<!doctype", "")
    for file in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
        found = await asked.anyone.get(f"/docs/{file}")
        again = await asked.anyone.get(f"/docs/{file}", headers={"if-none-match": found.headers["etag"]})
        assert (found.status_code, again.status_code, again.content) == (200, 304, b"")
    for file in ("README.md", "..%2Fapp.py", "%2e%2e"):
        assert (await asked.anyone.get(f"/docs/{file}")).status_code in (401, 404)


SILENCE = {"match": {"team": ["billing"]}, "for": "2h", "comment": "The invoice run is repeated."}


async def test_a_silence_is_whose_the_token_says_and_reaches_no_further_than_their_teams(asked: Asked) -> None:
    made = await asked.of["lead"].post("/v1/silences", json=SILENCE)
    assert (made.status_code, made.json()["by"]) == (201, "Kim")
    unnamed = await asked.of["plain"].post("/v1/silences", json=SILENCE)
    assert (unnamed.status_code, "by" in unnamed.json()["detail"]) == (422, True)
    assert (await asked.of["team"].post("/v1/silences", json=SILENCE)).json()["by"] == "Bo"
    for match in ({"team": ["billing", "technical"]}, {"severity": ["warning"]}):
        refused = await asked.of["team"].post("/v1/silences", json=SILENCE | {"match": match})
        assert (refused.status_code, problem(refused)) == (403, "not-your-team")
    wide = await asked.of["lead"].post("/v1/silences", json=SILENCE | {"match": {"severity": ["warning"]}})
    path = f"/v1/silences/{wide.json()['silence_id']}"
    assert (await asked.of["team"].delete(path)).status_code == 403
    assert (await asked.of["lead"].delete(path)).json()["ended_by"] == "Kim"
