"""Which policies act, and for which replies the VM is not the cause."""

from exporter.recovery.model.cases import FREE_REPLIES, UNCOUNTED_REPLIES, Policy, Reply


def test_policies_no_and_ignore_permit_no_action() -> None:
    assert {policy for policy in Policy if not policy.acts} == {Policy.NO, Policy.IGNORE}


def test_reply_for_which_the_vm_is_not_the_cause_uses_up_no_budget() -> None:
    assert set(FREE_REPLIES) == {Reply.NO_CAPACITY, Reply.BUSY, Reply.NOT_SENT}
    assert set(UNCOUNTED_REPLIES) == {*FREE_REPLIES, Reply.FORBIDDEN}
