"""The cached page has the newest samples and is built at most once a second."""

import gzip
import threading

import pytest

from exporter.exposition.cache import KEPT_SECONDS, PageCache
from exporter.exposition.formats import Format
from exporter.exposition.renderer import Rendered
from tests.exposition.pages import FAMILIES
from tests.exposition.test_page import rendered

CLASSIC, OPENMETRICS = Format.CLASSIC, Format.OPENMETRICS


class OwnMetrics:
    """The daemon's own metrics: the number of calls so far."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, form: Format) -> bytes:
        self.calls += 1
        return f"own {form.name} {self.calls}\n".encode()


@pytest.fixture
def own() -> OwnMetrics:
    return OwnMetrics()


@pytest.fixture
def cache(own: OwnMetrics) -> PageCache:
    return PageCache(FAMILIES, own)


def text(cache: PageCache, form: Format = CLASSIC, *, now: float = 0.0) -> str:
    return cache.page(form, gzipped=False, now=now).read().decode()


def samples(text: str) -> Rendered:
    return rendered([f"{text}\n"])


def test_cache_without_systems_has_a_page(cache: PageCache) -> None:
    page = text(cache)

    assert page.startswith("# HELP vergewatch_up ")
    assert page.endswith("own CLASSIC 1\n")


def test_put_samples_are_on_the_page_at_once(cache: PageCache) -> None:
    cache.add("north")
    assert "sample_one" not in text(cache)

    cache.put("north", samples("sample_one"))

    assert "sample_one" in text(cache)


def test_put_replaces_the_previous_samples(cache: PageCache) -> None:
    cache.add("north")
    cache.put("north", samples("sample_one"))
    assert "sample_one" in text(cache)

    cache.put("north", samples("sample_two"))

    assert "sample_two" in text(cache)
    assert "sample_one" not in text(cache)


def test_put_keeps_the_order_of_systems_and_the_samples_of_the_others(cache: PageCache) -> None:
    for name in ("north", "south"):
        cache.add(name)
        cache.put(name, samples(f"{name} sample_one"))

    cache.put("north", samples("north sample_two"))

    page = text(cache)
    assert "south sample_one" in page
    assert page.index("north sample_two") < page.index("south sample_one")


def test_removed_system_is_off_the_page_at_once(cache: PageCache) -> None:
    cache.add("north")
    cache.put("north", samples("sample_one"))
    assert "sample_one" in text(cache)

    cache.remove("north")

    assert "sample_one" not in text(cache)


def test_put_after_remove_is_ignored(cache: PageCache) -> None:
    cache.add("north")
    cache.remove("north")

    cache.put("north", samples("sample_one"))

    assert "sample_one" not in text(cache)


def test_put_without_add_is_ignored(cache: PageCache) -> None:
    cache.put("north", samples("sample_one"))

    assert "sample_one" not in text(cache)


def test_system_added_again_has_no_samples_until_the_next_put(cache: PageCache) -> None:
    cache.add("north")
    cache.put("north", samples("sample_one"))
    cache.remove("north")

    cache.add("north")
    assert "sample_one" not in text(cache)
    cache.put("north", samples("sample_two"))

    assert "sample_two" in text(cache)


def test_unknown_system_can_be_removed(cache: PageCache) -> None:
    cache.remove("north")

    assert text(cache)


def test_page_is_built_once_a_second_for_many_scrapes(cache: PageCache, own: OwnMetrics) -> None:
    pages = {text(cache, now=100 + tick / 64) for tick in range(64)}

    assert len(pages) == 1
    assert own.calls == 1


def test_page_is_built_again_after_a_second(cache: PageCache, own: OwnMetrics) -> None:
    first = text(cache, now=100.0)

    assert text(cache, now=100.0 + KEPT_SECONDS - 2**-20) == first
    assert text(cache, now=100.0 + KEPT_SECONDS) != first
    assert own.calls == 2


def test_frequent_scrapes_do_not_extend_the_life_of_a_page(
    cache: PageCache, own: OwnMetrics
) -> None:
    for tick in range(9):
        text(cache, now=100.0 + tick / 2)

    assert own.calls == 5


def test_put_invalidates_a_cached_page(cache: PageCache, own: OwnMetrics) -> None:
    cache.add("north")
    text(cache, now=100.0)

    cache.put("north", samples("sample_one"))

    assert "sample_one" in text(cache, now=100.0)
    assert own.calls == 2


def test_formats_are_cached_separately(cache: PageCache) -> None:
    assert text(cache, CLASSIC).endswith("own CLASSIC 1\n")
    assert text(cache, OPENMETRICS).endswith("own OPENMETRICS 2\n")
    assert text(cache, CLASSIC).endswith("own CLASSIC 1\n")


@pytest.mark.parametrize("form", Format)
def test_compressed_page_equals_the_plain_page(form: Format) -> None:
    cache = PageCache(FAMILIES, lambda form: f"own {form.name}\n".encode())
    cache.add("north")
    cache.put("north", samples("sample_one"))

    gzipped = cache.page(form, gzipped=True, now=0.0)

    assert gzip.decompress(gzipped.read()).decode() == text(cache, form)


def test_error_in_own_metrics_is_raised_and_not_cached() -> None:
    answers = [b"", b"recovered\n"]

    def own(form: Format) -> bytes:
        answer = answers.pop(0)
        if not answer:
            raise ZeroDivisionError
        return answer

    cache = PageCache(FAMILIES, own)

    with pytest.raises(ZeroDivisionError):
        text(cache)
    assert text(cache).endswith("recovered\n")


def test_concurrent_puts_and_removes_leave_the_last_state(cache: PageCache) -> None:
    names = [f"system {number}" for number in range(6)]

    def update(name: str) -> None:
        for turn in range(10):
            cache.add(name)
            cache.put(name, samples(f"{name} turn {turn}"))
            if name in names[:3]:
                cache.remove(name)

    threads = [threading.Thread(target=update, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert text(cache).startswith("# HELP")
    for thread in threads:
        thread.join()

    page = text(cache, now=10.0)
    assert [name for name in names if f"{name} turn 9" in page] == names[3:]
    assert not any(f"{name} turn" in page for name in names[:3])
