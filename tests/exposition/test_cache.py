"""Who asks gets the newest page, made at most once a second; who is gone stays gone."""

import gzip
import threading

import pytest

from exporter.exposition.cache import KEPT_SECONDS, PageCache
from exporter.exposition.formats import Format
from exporter.exposition.renderer import Rendered
from tests.exposition.pages import FAMILIES
from tests.exposition.test_page import saying

CLASSIC, OPENMETRICS = Format.CLASSIC, Format.OPENMETRICS


class Own:
    """Our own metrics: a number that counts how often it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, form: Format) -> bytes:
        self.asked += 1
        return f"own {form.name} {self.asked}\n".encode()


@pytest.fixture
def own() -> Own:
    return Own()


@pytest.fixture
def cache(own: Own) -> PageCache:
    return PageCache(FAMILIES, own)


def text(cache: PageCache, form: Format = CLASSIC, *, now: float = 0.0) -> str:
    return cache.page(form, gzipped=False, now=now).decode()


def system(says: str) -> Rendered:
    return saying([f"{says}\n"])


def test_an_empty_shelf_has_a_page(cache: PageCache) -> None:
    page = text(cache)

    assert page.startswith("# HELP vergewatch_up ")
    assert page.endswith("own CLASSIC 1\n")


def test_what_is_put_is_shown_at_once(cache: PageCache) -> None:
    cache.add("north")
    assert "sunny" not in text(cache)

    cache.put("north", system("sunny"))

    assert "sunny" in text(cache)


def test_what_is_put_again_replaces_what_was(cache: PageCache) -> None:
    cache.add("north")
    cache.put("north", system("sunny"))
    assert "sunny" in text(cache)

    cache.put("north", system("rainy"))

    assert "rainy" in text(cache)
    assert "sunny" not in text(cache)


def test_one_cloud_is_replaced_and_the_other_stays_where_it_was(cache: PageCache) -> None:
    for name in ("north", "south"):
        cache.add(name)
        cache.put(name, system(f"{name} sunny"))

    cache.put("north", system("north rainy"))

    page = text(cache)
    assert "south sunny" in page
    assert page.index("north rainy") < page.index("south sunny")


def test_a_cloud_that_is_removed_is_gone_at_once(cache: PageCache) -> None:
    cache.add("north")
    cache.put("north", system("sunny"))
    assert "sunny" in text(cache)

    cache.remove("north")

    assert "sunny" not in text(cache)


def test_a_cloud_that_was_removed_does_not_come_back(cache: PageCache) -> None:
    cache.add("north")
    cache.remove("north")

    cache.put("north", system("sunny"))

    assert "sunny" not in text(cache)


def test_a_cloud_that_nobody_added_is_not_shown(cache: PageCache) -> None:
    cache.put("north", system("sunny"))

    assert "sunny" not in text(cache)


def test_a_cloud_added_anew_shows_nothing_until_it_is_put_again(cache: PageCache) -> None:
    cache.add("north")
    cache.put("north", system("sunny"))
    cache.remove("north")

    cache.add("north")
    assert "sunny" not in text(cache)
    cache.put("north", system("rainy"))

    assert "rainy" in text(cache)


def test_removing_what_is_not_there_is_no_trouble(cache: PageCache) -> None:
    cache.remove("north")

    assert text(cache)


def test_a_page_is_made_once_a_second_however_many_ask(cache: PageCache, own: Own) -> None:
    pages = {text(cache, now=100 + tick / 64) for tick in range(64)}

    assert len(pages) == 1
    assert own.asked == 1


def test_a_page_is_kept_for_less_than_a_second(cache: PageCache, own: Own) -> None:
    first = text(cache, now=100.0)

    assert text(cache, now=100.0 + KEPT_SECONDS - 2**-20) == first
    assert text(cache, now=100.0 + KEPT_SECONDS) != first
    assert own.asked == 2


def test_a_page_that_is_asked_for_often_does_not_grow_old(cache: PageCache, own: Own) -> None:
    for tick in range(9):
        text(cache, now=100.0 + tick / 2)

    assert own.asked == 5


def test_news_are_shown_though_the_page_is_young(cache: PageCache, own: Own) -> None:
    cache.add("north")
    text(cache, now=100.0)

    cache.put("north", system("sunny"))

    assert "sunny" in text(cache, now=100.0)
    assert own.asked == 2


def test_formats_are_kept_apart(cache: PageCache) -> None:
    assert text(cache, CLASSIC).endswith("own CLASSIC 1\n")
    assert text(cache, OPENMETRICS).endswith("own OPENMETRICS 2\n")
    assert text(cache, CLASSIC).endswith("own CLASSIC 1\n")


@pytest.mark.parametrize("form", Format)
def test_the_compressed_page_says_the_same(form: Format) -> None:
    cache = PageCache(FAMILIES, lambda form: f"own {form.name}\n".encode())
    cache.add("north")
    cache.put("north", system("sunny"))

    gzipped = cache.page(form, gzipped=True, now=0.0)

    assert gzip.decompress(gzipped).decode() == text(cache, form)


def test_our_own_trouble_is_neither_hidden_nor_kept() -> None:
    answers = [b"", b"well again\n"]

    def own(form: Format) -> bytes:
        answer = answers.pop(0)
        if not answer:
            raise ZeroDivisionError
        return answer

    cache = PageCache(FAMILIES, own)

    with pytest.raises(ZeroDivisionError):
        text(cache)
    assert text(cache).endswith("well again\n")


def test_many_threads_put_and_remove_and_the_last_word_stands(cache: PageCache) -> None:
    names = [f"cloud {number}" for number in range(6)]

    def fill(name: str) -> None:
        for turn in range(10):
            cache.add(name)
            cache.put(name, system(f"{name} turn {turn}"))
            if name in names[:3]:
                cache.remove(name)

    threads = [threading.Thread(target=fill, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert text(cache).startswith("# HELP")
    for thread in threads:
        thread.join()

    page = text(cache, now=10.0)
    assert [name for name in names if f"{name} turn 9" in page] == names[3:]
    assert not any(f"{name} turn" in page for name in names[:3])
