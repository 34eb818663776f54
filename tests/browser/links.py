"""The pages of a console, found by following its links."""

from collections import deque
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urljoin, urlsplit
from urllib.request import urlopen

MOST_PAGES = 60
MOST_OF_A_KIND = 3


class Kind(NamedTuple):
    """What pages that look alike have in common."""

    path: str
    """Without the names of objects."""
    parameters: tuple[str, ...]


class Found(NamedTuple):
    """What following the links found."""

    pages: list[str]
    broken: list[str]
    """Links to what does not exist, with the page that has them."""
    repeated: list[str]
    """Ids and attributes that are there twice, with their page."""

    def one_of_each_kind(self) -> list[str]:
        """Return the first page of each kind that differs by more than its parameters."""
        first: dict[str, str] = {}
        for page in self.pages:
            first.setdefault(kind_of(page).path, page)
        return list(first.values())


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: list[str] = []
        self.repeated: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.repeated |= {f"<{tag} {name}>" for name in names if names.count(name) > 1}
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def follow_links(url: str) -> Found:
    """Follow the links of the console at *url*, some of each kind."""
    waiting, seen, counts = deque([("/", "")]), {"/"}, dict[Kind, int]()
    found = Found([], [], [])
    while waiting and len(found.pages) < MOST_PAGES:
        address, origin = waiting.popleft()
        try:
            with urlopen(url + address) as answer:  # noqa: S310 - our own server
                is_page = answer.headers.get_content_type() == "text/html"
                html = answer.read().decode() if is_page else ""
        except HTTPError as error:
            found.broken.append(f"{error.code} {address} on {origin}")
            continue
        if not is_page:
            continue
        found.pages.append(address)
        links = _Links()
        links.feed(html)
        links.repeated |= {f"#{one}" for one in links.ids if links.ids.count(one) > 1}
        found.repeated.extend(f"{one} on {address}" for one in sorted(links.repeated))
        for link in links.found:
            target = _local(url, address, link)
            kind = kind_of(target or "/")
            if target and target not in seen and counts.get(kind, 0) < MOST_OF_A_KIND:
                counts[kind] = counts.get(kind, 0) + 1
                seen.add(target)
                waiting.append((target, address))
    return found


def kind_of(address: str) -> Kind:
    """Return the kind of the page at *address*."""
    parts = urlsplit(address)
    first, *rest = parts.path.strip("/").split("/")
    path = f"/{first}" + "/*" * len(rest)
    return Kind(path, tuple(sorted({name for name, _ in parse_qsl(parts.query)})))


def _local(url: str, page: str, link: str) -> str | None:
    """Return the address of *link* on the same server; None for one of another server."""
    target = urlsplit(urljoin(url + page, link))
    if target.netloc != urlsplit(url).netloc:
        return None
    return target.path + (f"?{target.query}" if target.query else "")
