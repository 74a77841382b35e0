"""Signed webhooks: what goes out, what each answer means, and where nothing is ever sent."""

import asyncio
import base64
import hmac
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from pydantic import SecretStr

from schemas import standard_webhook
from services.alerts.delivery import SCHEDULE_S, Delivered, Refused, Retry, next_attempt_us
from services.alerts.message import Trial
from services.alerts.notify.outbound import is_public, outcome, seconds_after
from services.alerts.notify.webhook import Webhook, payload
from services.config.receiver import WebhookReceiver
from services.operate.server import Server

AT_US = 1_700_000_000_000_000
MESSAGE = Trial("msg-1", "oncall")
BODY = payload(MESSAGE)
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


class Receiver:
    """An HTTP server that answers as told and keeps what it got."""

    def __init__(self) -> None:
        self.answer: Response = Response(status_code=204)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.connections: set[int] = set()
        app = FastAPI()

        @app.post("/hook")
        async def hook(request: Request) -> Response:
            self.got.append((dict(request.headers), await request.body()))
            self.connections.add(request.client.port if request.client is not None else 0)
            return self.answer

        self.server = Server(app, "127.0.0.1", 0)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    await found.server.start()
    yield found
    await found.server.stop()


def configured(url: str, *, allow_private: bool = True) -> Webhook:
    return Webhook(
        WebhookReceiver(url=url, secrets=(SecretStr(SECRET), SecretStr("older")), allow_private=allow_private)
    )


@pytest.mark.anyio
async def test_a_message_carries_a_signature_of_every_secret_over_id_time_and_body(receiver: Receiver) -> None:
    webhook = configured(f"{receiver.server.url}/hook")
    try:
        assert await webhook.send(MESSAGE, AT_US) == Delivered()
    finally:
        await webhook.close()
    ((headers, body),) = receiver.got
    assert body == BODY
    assert headers["webhook-id"] == "msg-1"
    assert headers["webhook-timestamp"] == "1700000000"
    assert headers["content-type"] == "application/json"
    assert headers["host"] == receiver.server.url.removeprefix("http://")
    signatures = []
    for key in (b"0123456789abcdef0123456789abcdef", b"older"):
        digest = hmac.new(key, b"msg-1.1700000000." + BODY, "sha256").digest()
        signatures.append("v1," + base64.b64encode(digest).decode())
    assert headers["webhook-signature"].split() == signatures


@pytest.mark.anyio
@pytest.mark.parametrize("body", [None, b"ok", b"x" * 20_000])
async def test_messages_share_a_connection_whatever_the_receiver_answers(
    receiver: Receiver, body: bytes | None
) -> None:
    receiver.answer = Response(body, status_code=204 if body is None else 200)
    webhook = configured(f"{receiver.server.url}/hook")
    try:
        for _ in range(3):
            assert await webhook.send(MESSAGE, AT_US) == Delivered()
    finally:
        await webhook.close()
    assert len(receiver.connections) == 1


@pytest.mark.anyio
async def test_a_body_without_an_end_makes_no_failure_of_an_answer(receiver: Receiver) -> None:
    left = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x"
        await left.wait()

    receiver.answer = StreamingResponse(endless())
    webhook = configured(f"{receiver.server.url}/hook")
    try:
        assert await webhook.send(MESSAGE, AT_US) == Delivered()
    finally:
        left.set()
        await webhook.close()


def test_the_signature_is_that_of_the_published_example() -> None:
    # https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/python/tests
    headers = standard_webhook.headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64"])
def test_an_unusable_secret_is_refused_without_being_told(secret: str) -> None:
    with pytest.raises(ValueError, match=r"empty|base64") as refused:
        standard_webhook.key(secret)
    assert "not base64" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (200, Delivered()),
        (202, Delivered()),
        (301, Refused("HTTP 301, a redirect, which is not followed")),
        (400, Refused("HTTP 400")),
        (404, Refused("HTTP 404")),
        (408, Retry("HTTP 408")),
        (410, Refused("HTTP 410", gone=True)),
        (429, Retry("HTTP 429")),
        (500, Retry("HTTP 500")),
        (503, Retry("HTTP 503")),
    ],
)
def test_every_answer_has_one_of_three_meanings(status: int, meaning: object) -> None:
    assert outcome(status, None) == meaning


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str, seconds: float | None) -> None:
    assert seconds_after(header, AT_US) == seconds
    assert outcome(429, seconds) == Retry("HTTP 429", seconds)


@pytest.mark.anyio
async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answer = RedirectResponse(f"{receiver.server.url}/hook", status_code=307)
    webhook = configured(f"{receiver.server.url}/hook")
    try:
        assert isinstance(await webhook.send(MESSAGE, AT_US), Refused)
    finally:
        await webhook.close()
    assert len(receiver.got) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_private_address_gets_nothing_unless_that_is_allowed(receiver: Receiver, host: str) -> None:
    webhook = configured(f"http://{host}:{receiver.server.port}/hook", allow_private=False)
    try:
        refused = await webhook.send(MESSAGE, AT_US)
    finally:
        await webhook.close()
    assert isinstance(refused, Refused)
    assert "allow_private" in refused.problem
    assert receiver.got == []


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.4.4", "192.168.1.1", "127.0.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),
        *("224.0.0.1", "::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::"),
    ],
)
def test_internal_addresses_are_known_in_every_disguise(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_addresses_of_the_internet_are_allowed(address: str) -> None:
    assert is_public(address)


@pytest.mark.anyio
async def test_a_receiver_that_is_not_there_is_tried_again_later() -> None:
    webhook = configured("http://127.0.0.1:9/hook")
    try:
        assert isinstance(await webhook.send(MESSAGE, AT_US), Retry)
    finally:
        await webhook.close()


def test_attempts_follow_the_recommended_schedule_and_end() -> None:
    pauses = []
    for attempts in range(1, len(SCHEDULE_S)):
        next_us = next_attempt_us(attempts, None, 0, 0.5)
        assert next_us is not None
        pauses.append(next_us / 1e6)
    assert pauses == [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert next_attempt_us(len(SCHEDULE_S), None, 0, 0.5) is None


def test_pauses_are_spread_and_never_shorter_than_the_receiver_asked() -> None:
    assert next_attempt_us(1, None, 0, 0.0) == 4_500_000
    assert next_attempt_us(1, None, 0, 1.0) == 5_500_000
    assert next_attempt_us(1, 60, 0, 0.0) == 60_000_000
    assert next_attempt_us(2, 60, 0, 0.5) == 300_000_000
    assert next_attempt_us(1, 1e9, 0, 0.0) == 86_400_000_000
