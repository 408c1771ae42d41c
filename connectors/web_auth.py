"""How requests to a service are authenticated; secrets stay in here, and out of every error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import httpx

from connectors.errors import SourceError
from connectors.rest.options import OauthSecret, SecretAuth

_EARLY = 30.0  # seconds before its end at which a token is replaced


class Auth:
    """Adds what the source's file says; a token that the service refuses is fetched anew, once."""

    def __init__(self, said: SecretAuth | None, fetch: Callable[[httpx.Request], httpx.Response]) -> None:
        self._said = said or SecretAuth.model_construct()
        self._token = _Token(self._said.oauth2, fetch) if self._said.oauth2 else None

    def authorize(self, request: httpx.Request) -> None:
        """Put it into a request."""
        said = self._said
        if said.bearer is not None:
            request.headers["Authorization"] = f"Bearer {said.bearer.get_secret_value()}"
        elif said.basic is not None:
            pair = httpx.BasicAuth(said.basic.user, said.basic.password.get_secret_value())
            next(pair.auth_flow(request))
        elif said.header is not None:
            request.headers[said.header.name] = said.header.value.get_secret_value()
        elif said.query is not None:
            request.url = request.url.copy_merge_params({said.query.name: said.query.value.get_secret_value()})
        elif self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.value()}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must stand nowhere."""
        said = self._said
        known = [said.bearer] if said.bearer else []
        known += [said.basic.password] if said.basic else []
        known += [one.value for one in (said.header, said.query) if one]
        known += [said.oauth2.client_secret] if said.oauth2 else []
        return (*(one.get_secret_value() for one in known), *([self._token.now] if self._token else []))

    def renew(self) -> bool:
        """Forget a token that was refused; whether there was one."""
        return self._token is not None and self._token.forget()


class _Token:
    """The access token of the client credentials grant, fetched when it is needed, by one thread."""

    def __init__(self, said: OauthSecret, fetch: Callable[[httpx.Request], httpx.Response]) -> None:
        self._said, self._fetch = said, fetch
        self._lock = threading.Lock()
        self._value, self._until = "", 0.0

    @property
    def now(self) -> str:
        """The token that was used last, or nothing."""
        return self._value or "\0"

    def value(self) -> str:
        with self._lock:
            if not self._value or time.monotonic() >= self._until:
                self._value, seconds = self._asked()
                self._until = time.monotonic() + max(seconds - _EARLY, seconds / 2)
            return self._value

    def forget(self) -> bool:
        with self._lock:
            had, self._value = bool(self._value), ""
            return had

    def _asked(self) -> tuple[str, float]:
        said = self._said
        form = {"grant_type": "client_credentials", "scope": said.scope, "audience": said.audience}
        secret = said.client_secret.get_secret_value()
        if said.in_body:
            form |= {"client_id": said.client_id, "client_secret": secret}
        sent = {name: value for name, value in form.items() if value is not None}
        request = httpx.Request("POST", said.token_url, data=sent, headers={"Accept": "application/json"})
        if not said.in_body:
            next(httpx.BasicAuth(said.client_id, secret).auth_flow(request))
        response = self._fetch(request)
        try:
            if response.status_code != 200:
                raise _refused(f"status {response.status_code}")
            told = response.json()
            return str(told["access_token"]), float(told.get("expires_in", 300))
        except (ValueError, KeyError, TypeError):
            raise _refused("an answer without access_token") from None


def _refused(what: str) -> SourceError:
    return SourceError(
        f"the token service gave no token: {what}",
        sqlstate="28000",
        hint="check connection: auth: oauth2: in the source's file",
    )
