"""A self-signed certificate for the simulator, which exists as long as the simulator runs."""

import ipaddress
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from exporter.errors import ConfigError

LOCAL = ("DNS:localhost", "IP:127.0.0.1", "IP:::1")
DAYS = 30


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that a server uses and that its clients have to trust."""

    file: Path
    context: ssl.SSLContext


@contextmanager
def self_signed(host: str | None = None) -> Iterator[Certificate]:
    """
    Provide a certificate for this machine, and for the name or address *host*; delete it after.

    Raises:
        ConfigError: The program openssl is missing, or failed.

    """
    with TemporaryDirectory(prefix="vergewatch-simulator-") as directory:
        file, key = Path(directory, "certificate.pem"), Path(directory, "key.pem")
        _make(file, key, host)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file, key)
        yield Certificate(file, context)


def _make(file: Path, key: Path, host: str | None) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        raise ConfigError("--tls makes its certificate with the program openssl: install it")
    names = ",".join((*LOCAL, *_name_of(host)))
    command = [
        *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-nodes", "-days", str(DAYS), "-subj", "/CN=simulated VergeOS"),
        *("-addext", f"subjectAltName={names}"),
        # Required of a certificate that clients trust as an authority.
        *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
        *("-keyout", str(key), "-out", str(file)),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - no shell
    except subprocess.CalledProcessError as problem:
        reason = problem.stderr.decode(errors="replace").strip().splitlines()
        raise ConfigError(f"--tls: openssl failed: {reason[-1] if reason else problem}") from None


def _name_of(host: str | None) -> tuple[str, ...]:
    """Return *host* as a name of the certificate, if one address or name is meant."""
    if not host or host == "localhost":
        return ()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return (f"DNS:{host}",)
    return () if address.is_unspecified or address.is_loopback else (f"IP:{address}",)
