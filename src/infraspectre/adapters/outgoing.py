"""Requests that this server sends: to addresses that were checked, and to no others."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import httpx

from infraspectre.errors import AccessError
from infraspectre.security import Resolve, Target, checked_addresses, target_of

PATIENCE_S = 10.0
SCOPE_SIGN = "%"


class GuardedTransport(httpx.BaseTransport):
    """Sends requests to the very address that was checked, under the name that its certificate has to have.

    It keeps no connection, since one to an address could be used under another name; redirects come here too.
    """

    def __init__(
        self,
        allowed: Sequence[str] = (),
        schemes: Sequence[str] = ("https",),
        resolve: Resolve | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """Allow public addresses, and those within some networks."""
        self._allowed = tuple(allowed)
        self._schemes = tuple(schemes)
        self._resolve = resolve
        limits = httpx.Limits(max_connections=20, max_keepalive_connections=0)
        self._inner = httpx.HTTPTransport(verify=verify, trust_env=False, limits=limits)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; raises AccessError for one that may not be sent."""
        target = target_of(str(request.url).partition("#")[0], self._schemes)
        address = self._address(target)
        request.extensions = {**request.extensions, "sni_hostname": target.host}
        request.url = request.url.copy_with(host=address)
        return self._inner.handle_request(request)

    def _address(self, target: Target) -> str:
        address = checked_addresses(target, self._allowed, self._resolve)[0]
        if SCOPE_SIGN in address:
            raise AccessError("leads to an address of one link")
        return address

    def close(self) -> None:
        """Release what is held."""
        self._inner.close()


def outgoing_client(
    allowed: Sequence[str] = (), schemes: Sequence[str] = ("https",), verify: ssl.SSLContext | bool = True
) -> httpx.Client:
    """Return a client whose requests are checked; it follows no redirect and reads no setting of proxies."""
    transport = GuardedTransport(allowed, schemes, verify=verify)
    return httpx.Client(transport=transport, timeout=PATIENCE_S, trust_env=False, follow_redirects=False)
