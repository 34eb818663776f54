"""
``make release``: build the sdist, the wheel and the SBOM of HEAD into dist/, and check them.

Nothing is uploaded. It runs in an environment of its own, which has build, twine and cyclonedx-bom.
"""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
REQUIREMENTS = ROOT / "deploy/requirements.txt"
REQUIREMENTS_WITH_POSTGRES = ROOT / "deploy/requirements-postgres.txt"
REQUIREMENTS_OF_BUILD = ROOT / "deploy/requirements-build.txt"
DEMO_SECONDS = 5
NOT_IN_SDIST = (".ci/", ".dockerignore", ".gitignore")
UP = re.compile(r"^vergewatch_up{.*} 1", re.MULTILINE)


class ReleaseError(Exception):
    """What would be published is not as it should be."""


def run(*command: str | Path, **env: str) -> str:
    """Return what *command* prints; raise `ReleaseError` if it fails."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(  # noqa: S603 - our own commands
        [str(part) for part in command],
        cwd=ROOT,
        env={**clean, **env},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        text = " ".join(map(str, command))
        raise ReleaseError(f"{text}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def python(*arguments: str | Path, **env: str) -> str:
    """Run the Python of this environment."""
    return run(sys.executable, *arguments, **env)


def build(source: Path) -> tuple[Path, Path]:
    """Build from the files of HEAD, which are put into *source*; return the sdist and the wheel."""
    archive = source.with_suffix(".tar")
    run("git", "archive", "--output", archive, "HEAD")
    with tarfile.open(archive) as tar:
        tar.extractall(source, filter="data")
    committed = run("git", "show", "--no-patch", "--format=%ct", "HEAD").strip()
    for old in DIST.glob("vergewatch-*"):
        old.unlink()
    options = ("--no-isolation", "--outdir", DIST, source)
    python("-m", "build", *options, SOURCE_DATE_EPOCH=committed)
    (sdist,), (wheel,) = DIST.glob("vergewatch-*.tar.gz"), DIST.glob("vergewatch-*.whl")
    python("-m", "twine", "check", "--strict", sdist, wheel)
    return sdist, wheel


def check_sdist(sdist: Path, source: Path) -> None:
    """Check that *sdist* has every file of *source*, also through its links, and no other."""
    with tarfile.open(sdist) as tar:
        members = [one.name for one in tar.getmembers() if not one.isdir()]
    found = {name.partition("/")[2] for name in members} - {"PKG-INFO"}
    files = {
        str((Path(folder) / name).relative_to(source))
        for folder, _, names in os.walk(source, followlinks=True)
        for name in names
    }
    expected = {name for name in files if not name.startswith(NOT_IN_SDIST)}
    if found != expected:
        raise ReleaseError(
            f"{sdist.name} lacks {sorted(expected - found)} and adds {sorted(found - expected)}"
        )


def install(artifact: Path, requirements: Path, environment: Path) -> None:
    """Install *artifact* into a new *environment*, with the locked *requirements*."""
    python("-m", "venv", "--without-pip", environment)
    pip = ("-m", "pip", "--python", environment / "bin/python")
    python(*pip, "install", "--require-hashes", "-r", requirements)
    if artifact.suffix == ".gz":
        python(*pip, "install", "--require-hashes", "-r", REQUIREMENTS_OF_BUILD)
    python(*pip, "install", "--no-deps", "--no-build-isolation", artifact)
    python(*pip, "check")


def check_program(environment: Path, version: str) -> None:
    """Check that the installed program has *version*, and runs the demo for a few seconds."""
    program = environment / "bin/vergewatch"
    told = run(program, "--version").strip()
    if told != f"vergewatch {version}":
        raise ReleaseError(f"--version prints {told!r}, not {version}")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    demo = subprocess.Popen(  # noqa: S603 - our own program
        [str(program), "demo", "--web.listen-address", f"127.0.0.1:{port}"],
        cwd=environment,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: UP.search(metrics(port)))
        time.sleep(DEMO_SECONDS)
        demo.send_signal(signal.SIGTERM)
        if status := demo.wait(timeout=30):
            raise ReleaseError(f"the demo ended with status {status}")
    finally:
        demo.kill()
        demo.wait()


def metrics(port: int) -> str:
    """Return the metrics of the demo; nothing before it answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    except OSError:
        return ""
    finally:
        connection.close()


def wait_for(holds: Callable[[], object]) -> None:
    """Ask twice a second until *holds*; raise `ReleaseError` if it does not."""
    for _ in range(60):
        if holds():
            return
        time.sleep(0.5)
    raise ReleaseError("the demo does not monitor its system after 30 s")


def write_sbom(environment: Path, version: str) -> Path:
    """Write what is installed in *environment* as CycloneDX, with its licenses."""
    sbom = DIST / f"vergewatch-{version}.cdx.json"
    options = ("--output-reproducible", "--pyproject", ROOT / "pyproject.toml", "--validate")
    python(
        *("-m", "cyclonedx_py", "environment", *options, "--output-format", "JSON"),
        *("--output-file", sbom, environment / "bin/python"),
    )
    return sbom


def changelog_section(version: str) -> str:
    """Return the section of *version* in CHANGELOG.md."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(version)} .*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ReleaseError(f"CHANGELOG.md has no section {version}")
    return found[0].strip()


def main() -> None:
    """Build, check, and print the changelog section and what was built."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        sdist, wheel = build(place / "source")
        version = wheel.name.split("-")[1]
        section = changelog_section(version)
        check_sdist(sdist, place / "source")
        install(sdist, REQUIREMENTS, place / "of-sdist")
        check_program(place / "of-sdist", version)
        install(wheel, REQUIREMENTS_WITH_POSTGRES, place / "of-wheel")
        check_program(place / "of-wheel", version)
        sbom = write_sbom(place / "of-wheel", version)
    sys.stdout.write(f"{section}\n\n")
    for built in (sdist, wheel, sbom):
        size = built.stat().st_size / 1000
        sys.stdout.write(f"{built.relative_to(ROOT)}  {size:,.0f} kB\n")


if __name__ == "__main__":
    try:
        main()
    except ReleaseError as error:
        sys.exit(f"FAILED: {error}")
