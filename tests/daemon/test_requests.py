"""What an hour of watching costs the cloud."""

import asyncio

import pytest

from tests.bench.hour import planned_requests, requests_of_an_hour


@pytest.mark.parametrize("vms", [20, 400])
async def test_requests_per_hour_equal_the_plan_for_any_number_of_vms(vms: int) -> None:
    requests = await requests_of_an_hour(vms)

    assert requests == pytest.approx(planned_requests(), abs=12)
    assert requests <= 850


async def test_requests_do_not_depend_on_the_number_of_vms() -> None:
    few, many = await asyncio.gather(requests_of_an_hour(20), requests_of_an_hour(200))

    assert few == many
