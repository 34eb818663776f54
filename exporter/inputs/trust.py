"""The certificates that a client trusts, followed while their file changes."""

import ssl
from pathlib import Path

from exporter.http import following, ssl_context
from exporter.inputs.live_file import FileWatch, LiveFile


def trust(
    ca_file: Path | None, *, verify: bool, section: str, watch: FileWatch | None = None
) -> ssl.SSLContext | bool:
    """
    Return what verifies the certificate of each new connection, by the CA file as it is then.

    A connection that is open stays open: its server was verified when it was made.

    Args:
        section: The settings that have ``ca_file`` and ``verify``, for the error.
        watch: Reports a file that becomes invalid.

    Raises:
        ConfigError: The CA file cannot be used.

    """
    if ca_file is None or not verify:
        return ssl_context(None, verify=verify, section=section)

    def load() -> ssl.SSLContext:
        context = ssl_context(ca_file, verify=True, section=section)
        assert isinstance(context, ssl.SSLContext)  # noqa: S101 - with a CA file it always is
        return context

    file = LiveFile(ca_file, load)
    if watch is not None:
        watch.add(file)
    return following(file.current, ssl.PROTOCOL_TLS_CLIENT)
