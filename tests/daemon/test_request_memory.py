"""What is remembered of the requests of a system: across restarts, crashes, and beside `check`."""

from pathlib import Path

from exporter.daemon.request_memory import CHECK, RequestMemory
from exporter.daemon.system_memory import SystemMemory
from exporter.vergeos.budget import RequestBudget
from tests.fakes import FakeClock

URL = "https://verge.example"
OTHER_PORT = "https://verge.example:8443"


class Process:
    """A process that sends requests to a system."""

    def __init__(
        self, directory: Path, clock: FakeClock, *, url: str = URL, by_check: bool = False
    ) -> None:
        self.budget = RequestBudget(1000, reserve=0.15)
        own = SystemMemory(directory, url, CHECK if by_check else "")
        self.memory = RequestMemory(own, directory, url, self.budget, clock, by_check=by_check)
        self._clock = clock

    def send(self, polls: int, urgent: int = 0) -> None:
        for number in range(polls + urgent):
            assert self.budget.take(at=self._clock.elapsed, urgent=number >= polls) == 0

    @property
    def spent(self) -> int:
        return self.budget.spent(at=self._clock.elapsed)


def test_requests_of_the_process_before_count(tmp_path: Path) -> None:
    clock = FakeClock()
    first = Process(tmp_path, clock)
    first.send(100, urgent=10)
    first.memory.save()
    clock.elapsed += 1800

    second = Process(tmp_path, clock)
    second.memory.resume()

    assert second.spent == 110
    clock.elapsed += 1861
    assert second.spent == 0


def test_process_that_is_killed_at_each_start_counts_its_first_polls(tmp_path: Path) -> None:
    clock = FakeClock()
    for _ in range(20):
        process = Process(tmp_path, clock)
        process.memory.resume(ahead=17)
        clock.elapsed += 10

    assert process.spent == 19 * 17


def test_requests_that_were_written_ahead_are_replaced_by_those_sent(tmp_path: Path) -> None:
    clock = FakeClock()
    first = Process(tmp_path, clock)
    first.memory.resume(ahead=17)
    first.send(3)
    first.memory.save()

    second = Process(tmp_path, clock)
    second.memory.resume()

    assert second.spent == 3


def test_check_and_daemon_count_each_other_and_overwrite_nothing(tmp_path: Path) -> None:
    clock = FakeClock()
    daemon = Process(tmp_path, clock)
    daemon.send(400)
    daemon.memory.save()
    check = Process(tmp_path, clock, by_check=True)
    check.memory.resume()
    check.send(20)
    check.memory.save()
    daemon.memory.save()

    restarted = Process(tmp_path, clock)
    restarted.memory.resume()

    assert check.spent == restarted.spent == 420


def test_two_systems_of_one_host_have_their_own_memory(tmp_path: Path) -> None:
    clock = FakeClock()
    first = Process(tmp_path, clock)
    first.send(100)
    first.memory.save()

    second = Process(tmp_path, clock, url=OTHER_PORT)
    second.memory.resume()

    assert second.spent == 0


def test_wait_that_was_asked_for_is_kept_for_the_time_that_is_left(tmp_path: Path) -> None:
    clock = FakeClock()
    first = Process(tmp_path, clock)
    first.budget.throttle.asks_to_wait("/x", 429, {"Retry-After": "600"}, at=0.0, now=clock.now())
    first.memory.save()
    clock.elapsed += 200

    second = Process(tmp_path, clock)
    second.memory.resume()

    wait = second.budget.throttle.wait(at=clock.elapsed)
    assert wait is not None
    assert wait.until == 600
    assert wait.because == "/x answered 429 with Retry-After: 600"


def test_wait_of_a_damaged_memory_is_at_most_an_hour(tmp_path: Path) -> None:
    clock = FakeClock()
    SystemMemory(tmp_path, URL).remember(wait_until=1e12, wait_because="/x answered 429")

    process = Process(tmp_path, clock)
    process.memory.resume()

    assert process.budget.throttle.wait(at=3599.0) is not None
    assert process.budget.throttle.wait(at=3600.0) is None


def test_check_writes_only_where_a_daemon_of_its_user_writes(tmp_path: Path) -> None:
    process = Process(tmp_path, FakeClock(), by_check=True)

    assert not process.memory.is_shared()
    process.memory.save()
    assert process.memory.is_shared()
