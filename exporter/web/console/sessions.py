"""Sessions of operators: who may send commands from the console."""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from aiohttp import hdrs, web

from exporter.clock import Clock
from exporter.web.console.operators import Operators

COOKIE = "vergewatch_session"
CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"
IDLE_SECONDS = 3600.0
"""Without a request of the operator: pages that follow the polls by themselves do not count."""
MAX_AGE_SECONDS = 12 * 3600.0
MAX_SESSIONS = 256
"""The one that was idle for longest is ended first."""
MAX_NOTICES = 16
"""Of a session; a page that shows an older one shows it no longer."""


class Notice(NamedTuple):
    """What came of a form, for the page that the browser is sent to afterwards."""

    text: str
    failed: bool = False
    fields: Mapping[str, str] = {}
    """What was typed into a form that failed, so that it can be corrected."""


@dataclass(slots=True)
class Session:
    """An operator who is logged in."""

    owner: str
    proof: bytes
    """A keyed digest of the secret that the session rests on."""
    csrf: str
    """What each form of the session carries."""
    began: float
    used: float
    notices: OrderedDict[str, Notice] = field(default_factory=OrderedDict)
    """By the code in the address of the page, which may be refreshed and is in one tab only."""

    def keep(self, notice: Notice) -> str:
        """Keep *notice*, and return its code."""
        code = secrets.token_urlsafe(12)
        self.notices[code] = notice
        while len(self.notices) > MAX_NOTICES:
            self.notices.popitem(last=False)
        return code


class Sessions:
    """
    The sessions in force; they end with the process.

    A session is known by a random value that only its cookie has: page scripts cannot read it, and
    a browser does not send it with requests of other sites. It ends when the secret that it was
    begun with is no longer valid.
    """

    def __init__(self, clock: Clock, operators: Operators) -> None:
        self._clock = clock
        self._operators = operators
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._key = secrets.token_bytes(32)

    def begin(
        self, owner: str, proof: bytes, request: web.Request, response: web.StreamResponse
    ) -> Session:
        """Begin a session of *owner*; one that the request already has ends, so none is fixed."""
        self.end(request, response)
        value, now = secrets.token_urlsafe(32), self._clock.monotonic()
        session = Session(owner, self._digest(proof), secrets.token_urlsafe(32), now, now)
        self._sessions[self._digest(value.encode())] = session
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        response.set_cookie(
            COOKIE, value, path="/", httponly=True, samesite="Strict", secure=_is_secure(request)
        )
        return session

    def session(self, request: web.Request) -> Session | None:
        """Return the session of *request*; None if it has none, or it has ended."""
        place, now = self._place(request), self._clock.monotonic()
        session = self._sessions.get(place)
        if session is None:
            return None
        is_over = now - session.used > IDLE_SECONDS or now - session.began > MAX_AGE_SECONDS
        if is_over or not self._is_proven(session, request):
            del self._sessions[place]
            return None
        if not is_refresh(request):
            session.used = now
            self._sessions.move_to_end(place)
        return session

    def end(self, request: web.Request, response: web.StreamResponse) -> None:
        """End the session of *request*."""
        self._sessions.pop(self._place(request), None)
        response.del_cookie(
            COOKIE, path="/", httponly=True, samesite="Strict", secure=_is_secure(request)
        )

    def _is_proven(self, session: Session, request: web.Request) -> bool:
        proofs = map(self._digest, self._operators.proofs(request))
        return any(hmac.compare_digest(session.proof, proof) for proof in proofs)

    def _place(self, request: web.Request) -> bytes:
        """Return where the session of *request* is: looking it up tells no timing."""
        return self._digest(request.cookies.get(COOKIE, "").encode("utf-8", "surrogateescape"))

    def _digest(self, secret: bytes) -> bytes:
        return hmac.digest(self._key, secret, "sha256")


def is_from_form(session: Session, given: str) -> bool:
    """Return whether *given*, a form's field or a header, is what *session* handed out."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), session.csrf.encode())


def is_refresh(request: web.Request) -> bool:
    """Return whether *request* is of a page that follows the polls, and of no person."""
    return request.method == hdrs.METH_GET and "HX-Request" in request.headers


def _is_secure(request: web.Request) -> bool:
    """
    Return whether the browser uses TLS, if only up to a proxy.

    A page cannot set ``Origin``, and a client that lies in it only keeps its own cookie back.
    """
    return request.secure or request.headers.get(hdrs.ORIGIN, "").startswith("https://")
