"""The tables ``certificates`` and ``licenses``. Fields: what pyvergeos requests by default."""

from dataclasses import dataclass

from exporter.simulator.api.tables.columns import Table, attribute, constant, live

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Renewed:
    """A certificate or license that is renewed in time."""

    key: int
    name: str
    kind: str
    days: int
    """How long it is valid; it is renewed when half of that is over."""

    def issued(self, now: float) -> int:
        """Return when it was last renewed, in Unix seconds."""
        half = self.days * DAY // 2
        return int(now) // half * half


_CERTIFICATES = Table(
    name="certificates",
    rows=lambda view: (
        Renewed(1, f"{view.world.system_name}.example.com", "letsencrypt", 180),
        Renewed(2, "10.0.9.1", "self_signed", 3650),
    ),
    columns={
        "$key": attribute("key"),
        "domain": attribute("name"),
        "domainname": attribute("name"),
        "domainlist": attribute("name"),
        "description": constant(""),
        "type": attribute("kind"),
        "acme_server": constant(""),
        "key_type": constant("ecdsa"),
        "rsa_key_size": constant(None),
        "contact": constant(None),
        "agree_tos": constant(value=True),
        "valid": constant(value=True),
        "autocreated": constant(value=False),
        "expires": live(lambda row, view: row.issued(view.now) + row.days * DAY),
        "created": live(lambda row, view: row.issued(view.now)),
        "modified": live(lambda row, view: row.issued(view.now)),
    },
)

_LICENSES = Table(
    name="licenses",
    rows=lambda _view: (Renewed(1, "Production", "", 365),),
    columns={
        "$key": attribute("key"),
        "name": attribute("name"),
        "description": constant(""),
        "added": live(lambda row, view: row.issued(view.now)),
        "added_by": constant("admin"),
        "issued": live(lambda row, view: row.issued(view.now)),
        "valid_from": live(lambda row, view: row.issued(view.now)),
        "valid_until": live(lambda row, view: row.issued(view.now) + row.days * DAY),
        "features": constant({}, blob=True),
        "allow_branding": constant(value=False),
        "auto_renewal": constant(value=True),
        "note": constant(""),
    },
)


TABLES = (_CERTIFICATES, _LICENSES)
