"""The check of the vSAN journal, which `vrg doctor` of the vendor makes with a query of its own."""

from exporter.doctor.check import Check, finds_nothing
from exporter.model import Level

CHECKS = (
    Check(
        "vsan_journal",
        "The journal of the vSAN can be queried without an error.",
        (),
        finds_nothing,
        "Run `vrg doctor` of the vendor as an administrator.",
        "",
        "The journal of the vSAN has an error.",
        (Level.WARNING,),
        needs_admin=True,
        always_skipped="it needs an active query; `vrg doctor` of the vendor sends it",
    ),
)
