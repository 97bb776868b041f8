"""Other services as a table: what is answered to which request, and what was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mainstay.ports.http import HttpAnswer, HttpClient, HttpFailed
from mainstay.ports.http_exchange import HttpRequest, exchange, request_of

Answering = HttpAnswer | HttpFailed | Callable[[HttpRequest], HttpAnswer]
"""An answer, a failure that is raised, or what makes an answer of the request."""


class MemoryHttp(HttpClient):
    """Answers by a table, and calls nobody.

    Its keys are ``"POST https://pay.example/charges"``; one without a query answers for every query. URLs, headers and
    redirects are judged as in production, addresses are not looked up. ``requests`` keeps what was asked, in order. A
    request that is in no row of the table raises ``LookupError``: the test has forgotten it.
    """

    def __init__(self, table: Mapping[str, Answering] | None = None) -> None:
        self.table: dict[str, Answering] = dict(table or {})
        self.requests: list[HttpRequest] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        seconds: float = 10.0,
        max_body: int = 1024 * 1024,
        redirects: int = 0,
    ) -> HttpAnswer:
        """Return what the table says."""
        if seconds <= 0:
            raise HttpFailed("there is no time left")

        async def send(request: HttpRequest) -> HttpAnswer:
            answer = self._answer(request)
            if len(answer.body) > max_body:
                raise HttpFailed(f"the body has more than {max_body} bytes")
            return answer

        return await exchange(send, request_of(method, url, headers, body), redirects)

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        whole = f"{request.method} {request.target.url}"
        found = self.table.get(whole) or self.table.get(whole.partition("?")[0])
        if found is None:
            raise LookupError(f"the table answers {', '.join(self.table) or 'nothing'}, and not {whole}")
        if isinstance(found, HttpFailed):
            raise found
        return found if isinstance(found, HttpAnswer) else found(request)
