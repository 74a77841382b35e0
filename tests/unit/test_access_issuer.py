"""Tokens of an OpenID Connect issuer: whose are taken, as what, and what happens while it is away."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from schemas.failure import NotNow
from services.alerts.access.identity import Identity
from services.alerts.access.issuer import Fault, Issuer
from services.alerts.access.key_set import AGAIN_S, FAILED_S, FRESH_S, STALE_S, KeySet
from services.config.access import Oidc, Role
from tests.support.issuer import AUDIENCE, URL, TestIssuer, public, rsa_key

pytestmark = pytest.mark.anyio
AT = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
ROLES = {"support-admins": Role.ADMIN, "support-leads": Role.LEAD, "support": Role.VIEWER}


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture(scope="module")
def there() -> TestIssuer:
    return TestIssuer()


@pytest.fixture
def there_alone() -> TestIssuer:
    """One that a test may change."""
    return TestIssuer()


def verifier(there: TestIssuer, clock: Clock | None = None, **more: Any) -> Issuer:
    told = Oidc(issuer=there.url, audience=AUDIENCE, roles=ROLES, **more)
    return Issuer(told, KeySet(there.url, clock or Clock(), there.fetch))


async def test_a_token_of_the_issuer_says_who_it_is_and_which_role_that_is(there: TestIssuer) -> None:
    found = await verifier(there).holder(there.token(AT), AT)
    assert isinstance(found, Identity)
    assert (found.name, found.role, found.key) == ("kim", Role.LEAD, "oidc 8f2c")


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        ({"iss": "https://login.example.com/realms/other"}, Fault.ISSUER),
        ({"aud": "another-api"}, Fault.AUDIENCE),
        ({"exp": AT - timedelta(seconds=61)}, Fault.EXPIRED),
        ({"exp": None}, Fault.MALFORMED),
        ({"exp": float("nan")}, Fault.MALFORMED),
        ({"exp": float("inf")}, Fault.MALFORMED),
        ({"nbf": AT + timedelta(seconds=62)}, Fault.EARLY),
        ({"iat": AT + timedelta(seconds=62)}, Fault.EARLY),
        ({"roles": ["another"]}, Fault.NO_ROLE),
        ({"roles": None}, Fault.NO_ROLE),
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(there: TestIssuer, claims: dict[str, Any], fault: Fault) -> None:
    assert await verifier(there).holder(there.token(AT, **claims), AT) is fault


async def test_clocks_may_be_a_minute_apart(there: TestIssuer) -> None:
    late, early = there.token(AT, exp=AT - timedelta(seconds=59)), there.token(AT, nbf=AT + timedelta(seconds=59))
    assert isinstance(await verifier(there).holder(late, AT), Identity)
    assert isinstance(await verifier(there).holder(early, AT), Identity)
    assert await verifier(there, leeway="10s").holder(late, AT) is Fault.EXPIRED


async def test_a_token_of_another_key_is_refused_though_it_names_the_right_one(there: TestIssuer) -> None:
    stranger = TestIssuer()
    assert await verifier(there).holder(stranger.token(AT), AT) is Fault.SIGNATURE


async def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(there: TestIssuer) -> None:
    """The confusion of algorithms: what is public must never count as a secret."""
    known = json.dumps(public("first", there.keys["first"])).encode()
    claims: dict[str, Any] = {"iss": URL, "aud": AUDIENCE, "exp": AT + timedelta(hours=1), "roles": ["support-admins"]}
    parts = [{"alg": "HS256", "kid": "first"}, claims | {"exp": int(claims["exp"].timestamp())}]
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    proof = base64.urlsafe_b64encode(hmac.digest(known, signed, "sha256")).rstrip(b"=")
    forged = (signed + b"." + proof).decode()
    assert await verifier(there).holder(forged, AT) is Fault.ALGORITHM


async def test_a_token_without_a_signature_is_refused(there: TestIssuer) -> None:
    _, claims, signature = there.token(AT).split(".")
    for algorithm in ("none", "None", "", None, 5, ["RS256"]):
        head = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "first"}).encode()).decode().rstrip("=")
        for last in ("", signature):
            found = await verifier(there).holder(f"{head}.{claims}.{last}", AT)
            assert found in (Fault.ALGORITHM, Fault.MALFORMED)


async def test_an_algorithm_that_is_not_allowed_is_refused_and_one_that_is_needs_its_own_kind_of_key() -> None:
    there = TestIssuer()
    there.keys["curve"] = ec.generate_private_key(ec.SECP256R1())
    assert isinstance(await verifier(there).holder(there.token(AT, "curve"), AT), Identity)
    assert await verifier(there, algorithms=("RS256",)).holder(there.token(AT, "curve"), AT) is Fault.ALGORITHM
    mixed = there.token(AT, "curve", headers={"kid": "first"})
    assert await verifier(there).holder(mixed, AT) is Fault.KEY


async def test_a_short_rsa_key_counts_for_nothing(there_alone: TestIssuer) -> None:
    there_alone.keys["short"] = rsa_key(1024)
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = there_alone.token(AT, "short")
    assert await verifier(there_alone).holder(token, AT) is Fault.KEY


@pytest.mark.parametrize("text", ["..", "a.b.c", "eyJhbGciOiJSUzI1NiJ9..", "é.é.é", "." * 20_000])
async def test_what_is_no_token_is_refused(there: TestIssuer, text: str) -> None:
    assert isinstance(await verifier(there).holder(text, AT), Fault)


async def test_no_bit_of_a_token_can_be_changed(there: TestIssuer) -> None:
    token = there.token(AT)
    issuer = verifier(there)
    head, claims, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    said["roles"] = ["support-admins"]
    other = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
    assert await issuer.holder(f"{head}.{other}.{signature}", AT) is Fault.SIGNATURE


async def test_a_role_is_found_at_a_path_under_a_name_with_dots_and_in_a_text_of_words(there: TestIssuer) -> None:
    for path, claims in (
        ("realm_access.roles", {"realm_access": {"roles": ["x", "support-admins"]}}),
        ("https://deskpulse.example/roles", {"https://deskpulse.example/roles": "support-admins"}),
        ("scope", {"scope": "openid support-admins"}),
    ):
        found = await verifier(there, role_claim=path).holder(there.token(AT, **claims), AT)
        assert isinstance(found, Identity)
        assert found.role is Role.ADMIN


async def test_of_several_roles_the_highest_counts(there: TestIssuer) -> None:
    found = await verifier(there).holder(there.token(AT, roles=["support", "support-admins", "support-leads"]), AT)
    assert isinstance(found, Identity)
    assert found.role is Role.ADMIN


async def test_a_lead_who_is_bound_to_teams_and_has_none_is_not_a_lead_of_all(there: TestIssuer) -> None:
    bound = verifier(there, teams_claim="teams")
    assert await bound.holder(there.token(AT), AT) is Fault.NO_ROLE
    found = await bound.holder(there.token(AT, teams=["billing"]), AT)
    assert isinstance(found, Identity)
    assert found.acts_on("billing")
    assert not found.acts_on("technical")
    assert not found.acts_on(None)


async def test_who_has_no_name_is_named_by_the_subject_and_no_name_breaks_a_line(there: TestIssuer) -> None:
    found = await verifier(there).holder(there.token(AT, preferred_username=None), AT)
    assert isinstance(found, Identity)
    assert found.name == "8f2c"
    found = await verifier(there).holder(there.token(AT, preferred_username="kim\n\x1b[2Jroot" + "x" * 500), AT)
    assert isinstance(found, Identity)
    assert found.name is not None
    assert found.name.startswith("kim[2Jroot")
    assert len(found.name) == 120


async def test_a_new_key_is_found_when_its_first_token_comes(there_alone: TestIssuer) -> None:
    clock = Clock()
    issuer = verifier(there_alone, clock)
    assert isinstance(await issuer.holder(there_alone.token(AT), AT), Identity)
    there_alone.keys["second"] = rsa_key()
    clock.s += AGAIN_S
    assert isinstance(await issuer.holder(there_alone.token(AT, "second"), AT), Identity)


async def test_unknown_keys_do_not_make_us_ask_the_issuer_each_time(there_alone: TestIssuer) -> None:
    clock = Clock()
    issuer = verifier(there_alone, clock)
    for number in range(50):
        token = there_alone.token(AT, headers={"kid": f"made-up-{number}"})
        assert await issuer.holder(token, AT) is Fault.KEY
    assert len(there_alone.asked) == 2  # discovery and keys, once


async def test_a_withdrawn_key_stops_working_within_the_hour_and_nobody_waits_for_it(there_alone: TestIssuer) -> None:
    clock = Clock()
    issuer = verifier(there_alone, clock)
    token = there_alone.token(AT)
    assert isinstance(await issuer.holder(token, AT), Identity)
    there_alone.keys = {"second": rsa_key()}
    clock.s += FRESH_S
    assert isinstance(await issuer.holder(token, AT), Identity)  # the old set serves on, the new one is fetched beside
    assert issuer.keys._beside is not None
    await issuer.keys._beside
    assert await issuer.holder(token, AT) is Fault.KEY


async def test_known_keys_serve_for_a_day_while_the_issuer_is_away_and_then_nobody_is_let_in(
    there_alone: TestIssuer,
) -> None:
    clock = Clock()
    issuer = verifier(there_alone, clock)
    token = there_alone.token(AT)
    assert isinstance(await issuer.holder(token, AT), Identity)
    there_alone.away = httpx.ConnectError("gone")
    clock.s += STALE_S - 1
    assert isinstance(await issuer.holder(token, AT), Identity)
    assert issuer.keys._beside is not None
    await issuer.keys._beside
    clock.s += 1
    with pytest.raises(NotNow):
        await issuer.holder(token, AT)


async def test_an_issuer_that_is_away_at_the_start_is_asked_again_soon_and_not_each_time(
    there_alone: TestIssuer,
) -> None:
    there_alone.away = httpx.ConnectTimeout("slow")
    clock = Clock()
    issuer = verifier(there_alone, clock)
    for _ in range(20):
        with pytest.raises(NotNow):
            await issuer.holder(there_alone.token(AT), AT)
    assert len(there_alone.asked) == 1
    there_alone.away = None
    clock.s += FAILED_S
    assert isinstance(await issuer.holder(there_alone.token(AT), AT), Identity)


@pytest.mark.parametrize(
    "about",
    [
        {"issuer": "https://evil.example", "jwks_uri": f"{URL}/keys"},
        {"issuer": URL},
        {"issuer": URL, "jwks_uri": "file:///etc/passwd"},
        {"issuer": URL, "jwks_uri": "http://login.example.com/realms/support/keys"},
    ],
)
async def test_a_discovery_document_that_is_not_the_issuers_own_gives_no_keys(
    there_alone: TestIssuer, about: dict[str, Any]
) -> None:
    there_alone.about = about
    with pytest.raises(NotNow):
        await verifier(there_alone).holder(there_alone.token(AT), AT)


async def test_a_token_without_a_key_id_is_taken_where_only_one_key_can_have_signed_it(
    there_alone: TestIssuer,
) -> None:
    token = there_alone.token(AT, headers={"kid": None})
    assert isinstance(await verifier(there_alone).holder(token, AT), Identity)
    there_alone.keys["second"] = rsa_key()
    assert await verifier(there_alone).holder(token, AT) is Fault.KEY
