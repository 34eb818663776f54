"""The user of the web configuration file that a request was authenticated as."""

from typing import NamedTuple

from aiohttp import web


class User(NamedTuple):
    """An authenticated user."""

    name: str
    password_hash: str


_USER = web.RequestKey("user", User)


def set_user(request: web.Request, user: User) -> None:
    """Note that *request* was authenticated as *user*."""
    request[_USER] = user


def user_of(request: web.Request) -> User | None:
    """Return the user of *request*; None where the web server asks for no password."""
    return request.get(_USER)
