"""What a command of an operator did, as a sentence."""

from exporter.formatting import lasting
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.views import CommandReceipt
from exporter.recovery.report.presentation import present_readiness

RESULTS = {
    "pause": "recovery is paused",
    "resume": "no pause is in force",
    "disarm": "recovery is disarmed until an operator arms it",
    "arm": "no disarm is in force",
    "accept": "the current inventory is accepted as correct",
    "clear": "the restart budget of {vm} is refilled",
    "teach": "rows like “{template}” mean {means}",
    "forget": "“{template}” is forgotten",
    "step-down": "another replica may lead",
    "approve": "question {question} is approved",
    "deny": "question {question} is denied",
}


def receipt_text(receipt: CommandReceipt) -> str:
    """Return the effect of a command, and the readiness, which may follow from another command."""
    result = receipt.result or RESULTS.get(receipt.kind, receipt.kind).format(
        vm=receipt.vm, template=receipt.template, means=receipt.means, question=receipt.question
    )
    if receipt.readiness == ReadinessState.STANDBY and receipt.kind != "step-down":
        result += ", once the replica that leads has read the command"
    duration = f" for {lasting(receipt.seconds)}" if receipt.seconds is not None else ""
    if receipt.kind == "pause" and (receipt.paused_seconds or 0.0) > (receipt.seconds or 0.0) + 1:
        left = lasting(receipt.paused_seconds or 0.0)
        result, duration = f"recovery stays paused for {left}, by an earlier, longer pause", ""
    readiness = present_readiness(receipt.readiness).label
    return f"{receipt.system}: {result}{duration}; readiness: {readiness} ({receipt.because})"
