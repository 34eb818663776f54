"""The commands as values, and the pages that are made of them: Markdown and the manual page."""

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import typer.main

from exporter.cli.main import PROGRAM, full_command


class Parameter(NamedTuple):
    """An option or an argument of a command."""

    usage: str
    """As it is written: ``--url URL``, ``VM``."""
    help: str
    default: str
    """Empty if it says nothing."""
    is_option: bool
    is_required: bool


class Command(NamedTuple):
    """A command that can be given."""

    words: tuple[str, ...]
    """``vergewatch recovery status``, in words."""
    help: str
    parameters: tuple[Parameter, ...]

    @property
    def name(self) -> str:
        return " ".join(self.words)

    @property
    def usage(self) -> str:
        """Return the command with what it needs."""
        arguments = [one.usage for one in self.parameters if one.is_required]
        optional = [f"[{one.usage}]" for one in self.parameters if not one.is_required]
        short = " [OPTIONS]" if any(one.is_option and not one.is_required for one in
                                    self.parameters) else ""  # fmt: skip
        wanted = [one for one in optional if not one.startswith("[-")]
        return " ".join([self.name, *arguments, *wanted]) + short


def commands() -> Iterator[Command]:
    """Yield every command that is not hidden, in its order."""
    yield from _commands(typer.main.get_command(full_command()), (PROGRAM,))


def markdown() -> str:
    """Return the commands as Markdown, with their options."""
    parts = []
    for command in commands():
        parts.append(f"### {command.name}\n\n{_paragraphs(command.help)}\n")
        parts.append(f"```\n{command.usage}\n```\n")
        if command.parameters:
            parts.append("| Option | Meaning |\n|---|---|")
            parts += [f"| `{_cell(one.usage)}` | {_cell(_meaning(one))} |" for one in
                      command.parameters]  # fmt: skip
            parts.append("")
    return "\n".join(parts)


def manual() -> str:
    """Return the manual page, for man(1)."""
    lines = [
        f'.TH {PROGRAM.upper()} 1 "" "Vergewatch" "User Commands"',
        ".SH NAME",
        f"{PROGRAM} \\- Prometheus metrics and safe automatic VM restart for VergeOS",
        ".SH SYNOPSIS",
        f".B {PROGRAM}",
        "COMMAND [OPTIONS]",
        ".SH COMMANDS",
    ]
    for command in commands():
        lines += [f".SS {_roff(command.usage)}", *_roff_paragraphs(command.help)]
        for one in command.parameters:
            lines += [".TP", f".B {_roff(one.usage)}", _roff(_meaning(one))]
    lines += [
        ".SH EXIT STATUS",
        *(line for code, text in STATUSES for line in (".TP", f".B {code}", _roff(text))),
        ".SH ENVIRONMENT",
        _roff("VERGEWATCH_* set the settings; `vergewatch settings` lists them."),
    ]
    return "\n".join(lines) + "\n"


STATUSES = (
    (0, "success"),
    (1, "a failure: the daemon cannot be reached, something does not work, or try again later"),
    (2, "the command, an option, a setting or a name is wrong; repeated, it fails again"),
    (3, "`doctor`: a warning"),
    (4, "`doctor`: a critical finding"),
    (130, "interrupted by Ctrl-C, where that is not the usual end of the command"),
)
"""What a command exits with."""


def statuses() -> str:
    """Return the exit statuses as Markdown."""
    return "| Status | Meaning |\n|---|---|\n" + "".join(
        f"| {code} | {text} |\n" for code, text in STATUSES
    )


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[Command]:
    below = getattr(command, "commands", None)
    if below is None:
        text = inspect.cleandoc(command.help or "")
        shown = (one for one in command.params if not getattr(one, "hidden", False))
        yield Command(words, text, tuple(map(_parameter, shown)))
        return
    for name, one in below.items():
        if not one.hidden:
            yield from _commands(one, (*words, name))


def _parameter(one: Any) -> Parameter:
    is_option = one.param_type_name == "option"
    metavar = one.metavar or ("" if getattr(one, "is_flag", False) else "VALUE")
    usage = f"{', '.join(one.opts)} {metavar}".strip() if is_option else one.metavar or one.name
    tells = one.default not in (None, False, "", ()) and not one.required
    default = str(one.default) if is_option and tells else ""
    return Parameter(usage, one.help or "", default, is_option, one.required)


def _meaning(one: Parameter) -> str:
    return one.help + (f" Default: {one.default}." if one.default and "efault" not in one.help
                       else "") + (" Required." if one.is_required and one.is_option
                                   else "")  # fmt: skip


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(one.split()) for one in text.split("\n\n"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _roff(text: str) -> str:
    """Return *text* escaped, so that no line begins as a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "")
    return re.sub(r"^([.'])", r"\\&\1", escaped)


def _roff_paragraphs(text: str) -> Iterable[str]:
    for paragraph in text.split("\n\n"):
        yield from (".PP", _roff(" ".join(paragraph.split())))
