"""Webhooks and SMS gateways: one POST an alert, with the alert's id as its Idempotency-Key."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson

from api.watches.channels.base import GONE, Begin, Secrets, trust
from api.watches.channels.sms import cut
from api.watches.outbox import Delivery, Outcome
from federation.freshness.provenance import moment
from views.notifier_file import Notifier
from views.templates import filled

KEY = "Idempotency-Key"
LONGEST_ANSWER = 4_096  # bytes that are read of an answer
LONGEST_WAIT = 86_400.0  # seconds that a receiver can make us wait
TELEPHONE = re.compile(r"\+?[0-9][0-9 ()./-]{1,30}")
_PASSING = {408, 409, 423, 425, 429}  # of 4xx; 409: it is still at work on the same key
logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells each URL, which may be a secret
_NAMES = ("reference", "id", "message_id", "sid")  # under which gateways tell their own


class HttpChannel:
    """Of a notifier of kind webhook or sms. ConfigError where a secret is not to be had."""

    def __init__(self, notifier: Notifier, folder: Path) -> None:
        self._notifier, self._secrets = notifier, Secrets(folder)
        self._url = self._secrets.text(notifier.url or "")
        kind = "application/json" if notifier.encoding == "json" else "application/x-www-form-urlencoded"
        given = {name: self._secrets.text(value) for name, value in notifier.headers.items()}
        headers = {"Content-Type": kind, "User-Agent": "vdw", **given}
        self._client = httpx.AsyncClient(headers=headers, timeout=notifier.timeout, verify=trust(notifier, folder))

    def rotated(self) -> bool:
        """See Channel."""
        return self._secrets.rotated()

    async def close(self) -> None:
        """See Channel."""
        await self._client.aclose()

    async def send(self, delivery: Delivery, begin: Begin) -> Outcome:
        """See Channel."""
        address = delivery.address
        if self._notifier.kind == "sms" and not TELEPHONE.fullmatch(address):
            return Outcome("refused", "the address is no telephone number" if address else "there is no address")
        if not await begin():
            return GONE
        try:
            async with asyncio.timeout(self._notifier.timeout):
                return await self._posted(self.content(delivery), delivery.id)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return self._retry(error, sure=True)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            return Outcome("refused", self._secrets.hidden(f"the URL cannot be used: {error}"))
        except (httpx.HTTPError, TimeoutError) as error:
            return self._retry(error, sure=False)

    def content(self, delivery: Delivery) -> bytes:
        """The body: the same each time that the alert is sent."""
        body = document(delivery, self._notifier)
        return orjson.dumps(body) if self._notifier.encoding == "json" else urlencode(_flat(body)).encode()

    async def _posted(self, content: bytes, id: str) -> Outcome:
        async with self._client.stream("POST", self._url, content=content, headers={KEY: id}) as answer:
            data = await _some(answer)
        if answer.is_success:
            return Outcome("sent", reference=_reference(data))
        said = data.decode(answer.encoding or "utf-8", "replace")
        why = self._secrets.hidden(f"HTTP {answer.status_code} {answer.reason_phrase}: {said}")
        after = retry_after(answer.headers.get("Retry-After", ""))
        if answer.status_code in (429, 503):
            return Outcome("retry", why, after=after, all=after > 0)
        if answer.status_code in _PASSING or answer.status_code >= 500:
            return Outcome("retry", why, sure=False, after=after)
        return Outcome("refused", why)

    def _retry(self, error: Exception, sure: bool) -> Outcome:
        told = str(error) or ("no answer in time" if isinstance(error, TimeoutError) else "")
        return Outcome("retry", self._secrets.hidden(f"{type(error).__name__}: {told}".rstrip(": ")), sure=sure)


def document(delivery: Delivery, notifier: Notifier) -> dict[str, Any]:
    """What is posted of an alert."""
    text = delivery.text if notifier.kind == "webhook" else cut(delivery.text, notifier.segments)
    fields = {
        "id": delivery.id,
        "watch": delivery.watch,
        "event": delivery.event,
        "subject": delivery.subject,
        "text": text,
        "address": delivery.address,
        "key": delivery.key,
        "since": moment(delivery.since) or "",
    }
    if notifier.body is not None:
        return {name: filled(template, fields) for name, template in notifier.body.items()}
    return {**fields, "key": orjson.loads(delivery.key), "row": orjson.loads(delivery.document)}


def _flat(body: Mapping[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in body.items()}


async def _some(answer: httpx.Response) -> bytes:
    data = b""
    async for piece in answer.aiter_bytes():
        data += piece
        if len(data) >= LONGEST_ANSWER:
            break
    return data[:LONGEST_ANSWER]


def _reference(data: bytes) -> str:
    """What the receiver calls it, where it says so."""
    try:
        told = orjson.loads(data)
    except orjson.JSONDecodeError:
        return ""
    found = [told[name] for name in _NAMES if name in told] if isinstance(told, dict) else []
    return next((str(one)[:200] for one in found if isinstance(one, str | int)), "")


def retry_after(text: str, now: float | None = None) -> float:
    """Seconds that an answer asks to wait, by its Retry-After: a number or a moment; 0 where it says nothing.

    >>> retry_after("120"), retry_after("Thu, 01 Jan 1970 00:00:30 GMT", 10.0), retry_after("soon")
    (120.0, 20.0, 0.0)
    """
    if text.strip().isdecimal():
        return min(float(text), LONGEST_WAIT)
    try:
        at = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(at - (time.time() if now is None else now), 0.0), LONGEST_WAIT)
