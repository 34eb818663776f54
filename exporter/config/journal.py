"""The settings of the journal: which database it is in."""

import socket
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, model_validator

from exporter.inputs.files import SecretFile
from exporter.inputs.validation import STRICT, Secret, check_alternatives
from exporter.journal.place import Place, PostgresServer, checked_url


class JournalSettings(BaseModel):
    """The database of recovery's journal."""

    model_config = STRICT

    url: Annotated[str, AfterValidator(checked_url)] | None = None
    """`postgresql://user@host:port/database` without the password, for a journal on PostgreSQL. It
    may have the parameters of libpq's URLs, such as `sslmode=verify-full&sslrootcert=FILE`. Needs
    `vergewatch[postgres]`. Default: a SQLite file in `recovery.directory`."""
    password: Secret | None = None
    """The password of that user."""
    password_file: Path | None = None
    """A file with the password; each new connection uses the file as it is then. Default:
    `journal_password` in `secrets_dir`, if it exists; else `PGPASSWORD` and `PGPASSFILE` apply."""

    replica: str = ""
    """Name of this replica, which no other replica has. Default: the name of its host. Only with a
    `url`: replicas share the journal, and one of them leads."""

    @property
    def replica_name(self) -> str:
        """The name of this replica."""
        return self.replica or socket.gethostname()

    @model_validator(mode="after")
    def _one_password(self) -> "JournalSettings":
        check_alternatives(self, "password")
        return self


SQLITE = JournalSettings()


def journal_place(settings: JournalSettings, directory: Path) -> Place:
    """Return where the journal is; *directory* is that of a SQLite file."""
    if settings.url is None:
        return directory
    file = SecretFile(settings.password_file) if settings.password_file is not None else None

    def password() -> str | None:
        found = file.read() if file is not None else settings.password
        return found.get_secret_value() if found is not None else None

    return PostgresServer(settings.url, password)
