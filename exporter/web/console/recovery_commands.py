"""The forms of the page ``/recovery``: each gives recovery a command of the operator."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from exporter.errors import VergewatchError
from exporter.recovery.model.commands import GIVEN_BY_OPERATORS, CommandKind
from exporter.recovery.report.receipts import receipt_text
from exporter.recovery.report.requests import CommandBody
from exporter.web.commands import RequestError
from exporter.web.console.console import Console, leading_to
from exporter.web.console.recovery import PATH
from exporter.web.console.sessions import CSRF_FIELD, Notice, Session
from exporter.web.recovery import give_command

FIELDS = frozenset(CommandBody.__struct_fields__) - {"owner"}
"""Those that a form may have; the owner is the one of the session."""


def install_commands(app: web.Application, console: Console) -> None:
    """Add the routes of the forms to *app*."""
    for kind in GIVEN_BY_OPERATORS:
        handler = console.form(partial(_give, console, kind))
        app.router.add_post(f"{PATH}/{kind}", handler)


async def _give(
    console: Console, kind: CommandKind, _: web.Request, session: Session, fields: Mapping[str, str]
) -> web.StreamResponse:
    """Give the command; the page that follows has the result, or the form with what is wrong."""
    try:
        text = await _result(console, kind, session.owner, fields)
    except (RequestError, VergewatchError) as error:
        typed = {name: text for name, text in fields.items() if name != CSRF_FIELD}
        notice = Notice(_sentence(str(error)), failed=True, fields={**typed, "kind": kind.value})
    else:
        notice = Notice(text)
    return leading_to(PATH, session, notice)


async def _result(
    console: Console, kind: CommandKind, owner: str, fields: Mapping[str, str]
) -> str:
    if console.service is None:
        raise RequestError(409, "recovery is off, so it takes no commands")
    given: dict[str, Any] = {name: text for name, text in fields.items() if name in FIELDS and text}
    try:
        body = msgspec.convert({"reason": "", **given, "owner": owner}, CommandBody, strict=False)
    except msgspec.ValidationError as error:
        raise RequestError(400, f"the form is invalid: {error}") from None
    receipts = await give_command(console.service, kind, body)
    return " ".join(_sentence(receipt_text(one)) for one in receipts)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
