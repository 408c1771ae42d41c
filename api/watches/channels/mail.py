"""Mail by SMTP: the alert's id is its Message-ID, and the server may have it only from DATA on."""

from __future__ import annotations

import asyncio
import email.utils
import re
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import aiosmtplib

from api.watches.channels.base import GONE, Begin, Secrets, trust
from api.watches.outbox import Delivery, Outcome
from connectors.errors import ConfigError
from views.notifier_file import Notifier

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class MailChannel:
    """Of a notifier of kind smtp. ConfigError where a secret is not to be had."""

    def __init__(self, notifier: Notifier, folder: Path) -> None:
        self._notifier, self._secrets = notifier, Secrets(folder)
        self._password = self._secrets.text(notifier.password) if notifier.password is not None else None
        self._sender = notifier.sender or ""
        self._from = email.utils.parseaddr(self._sender)[1]
        if not ADDRESS.fullmatch(self._from):
            raise ConfigError("`sender` is no e-mail address", hint='write "Name <name@example.com>"')
        self._trust = trust(notifier, folder) if notifier.security != "none" else None

    def rotated(self) -> bool:
        """See Channel."""
        return self._secrets.rotated()

    async def close(self) -> None:
        """See Channel."""

    async def send(self, delivery: Delivery, begin: Begin) -> Outcome:
        """See Channel."""
        if not ADDRESS.fullmatch(delivery.address):
            return Outcome("refused", "the address is no e-mail address" if delivery.address else "there is no address")
        begun = False

        async def ready() -> bool:
            nonlocal begun
            begun = await begin()
            return begun

        try:
            async with asyncio.timeout(self._notifier.timeout):
                return await self._sent(delivery, ready)
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError) as error:
            return Outcome("refused" if error.code >= 500 else "retry", self._told(error))  # 4xx is for now
        except (
            aiosmtplib.SMTPResponseException
        ) as error:  # the server's or the account's fault, and not that of the mail
            return Outcome("retry", self._told(error))
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError, TimeoutError) as error:
            return Outcome("retry", self._told(error), sure=not begun)

    async def _sent(self, delivery: Delivery, begin: Begin) -> Outcome:
        notifier = self._notifier
        client = aiosmtplib.SMTP(
            hostname=notifier.host,
            port=notifier.where,
            use_tls=notifier.security == "tls",
            start_tls=notifier.security == "starttls",
            tls_context=self._trust,
            timeout=notifier.timeout,
        )
        try:
            await client.connect()
            if notifier.user is not None and self._password is not None:
                await client.login(notifier.user, self._password)
            await client.mail(self._from)
            await client.rcpt(delivery.address)
            if not await begin():
                return GONE
            answer = await client.data(self.content(delivery))
            return Outcome("sent", reference=self._secrets.hidden(answer.message)[:200])
        finally:
            client.close()  # what follows the answer to DATA changes nothing

    def content(self, delivery: Delivery) -> bytes:
        """The mail: the same bytes each time that the alert is sent."""
        domain = self._from.partition("@")[2]
        mail = EmailMessage(policy=SMTP)
        mail["From"] = self._sender
        mail["To"] = delivery.address
        mail["Subject"] = delivery.subject
        mail["Date"] = email.utils.formatdate(delivery.since)
        mail["Message-ID"] = f"<{delivery.id}@{domain}>"
        if delivery.first and delivery.first != delivery.id:
            mail["In-Reply-To"] = mail["References"] = f"<{delivery.first}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(delivery.text)
        return mail.as_bytes()

    def _told(self, error: Exception) -> str:
        if isinstance(error, aiosmtplib.SMTPResponseException):
            return self._secrets.hidden(f"SMTP {error.code}: {error.message}")
        told = str(error) or ("no answer in time" if isinstance(error, TimeoutError) else "")
        return self._secrets.hidden(f"{type(error).__name__}: {told}".rstrip(": "))
