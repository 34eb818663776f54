"""The text, tags and links of a page."""

from html.parser import HTMLParser


class PageText(HTMLParser):
    """What a person reads on a page, and what a browser would follow."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.title = ""
        self.icon = ""
        self.tone = ""
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._inside = tag
        self.tags.append(tag)
        self.attributes |= set(values)
        if tag == "a":
            self.links.append(values.get("href") or "")
        if tag == "link" and values.get("rel") == "icon":
            self.icon = values.get("href") or ""
        if tag == "main":
            self.tone = values.get("data-tone") or ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "title":
            self.title += data
        else:
            self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)
