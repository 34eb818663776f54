r"""
Regular expressions as Alertmanager reads them, told apart by whether they fit a whole text.

They are RE2's. Python's own mean something else by ``\s``, ``\w``, ``$`` and ``(?i)``, and a
pattern that RE2 follows in no time can keep Python busy for years. So they are read here, into
states that are followed all at once; `NotUnderstoodError` says what is not, which is little:
``\p``, ``\Q``, letters beyond ASCII without regard to case.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

DEEPEST = 50
"""Groups in groups; RE2 itself allows more than anybody writes."""
MOST_STATES = 20_000
MOST_REPEATS = 1000
"""RE2's own limit."""

REPEAT = re.compile(r"\{(0|[1-9][0-9]*)(?:(,)(0|[1-9][0-9]*)?)?\}")
GROUP = re.compile(r"\?(?:P?<[A-Za-z0-9_]+>|([imsU]*)(?:-([imsU]+))?([:)]))")
HEX = re.compile(r"([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\}")
OCTAL = re.compile(r"0[0-7]{0,2}|[1-7][0-7]{1,2}")
CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
LONELY_FOLDS = {"k": "\u212a", "s": "\u017f"}
"""What else is the same letter without regard to case: the signs for kelvin and the long s."""


class NotUnderstoodError(ValueError):
    """The pattern is none, or has something in it that is not read here."""


Ranges = tuple[tuple[str, str], ...]

PERL: dict[str, Ranges] = {
    "d": (("0", "9"),),
    "s": (("\t", "\n"), ("\f", "\r"), (" ", " ")),
    "w": (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z")),
}
POSIX: dict[str, Ranges] = {
    "alnum": (("0", "9"), ("A", "Z"), ("a", "z")),
    "alpha": (("A", "Z"), ("a", "z")),
    "ascii": (("\0", "\x7f"),),
    "blank": (("\t", "\t"), (" ", " ")),
    "cntrl": (("\0", "\x1f"), ("\x7f", "\x7f")),
    "digit": (("0", "9"),),
    "graph": (("!", "~"),),
    "lower": (("a", "z"),),
    "print": ((" ", "~"),),
    "punct": (("!", "/"), (":", "@"), ("[", "`"), ("{", "~")),
    "space": (("\t", "\r"), (" ", " ")),
    "upper": (("A", "Z"),),
    "word": PERL["w"],
    "xdigit": (("0", "9"), ("A", "F"), ("a", "f")),
}


class Chars(NamedTuple):
    """A set of characters."""

    ranges: Ranges
    negated: bool = False
    fold: bool = False
    """Whether upper and lower case are one."""

    def has(self, char: str) -> bool:
        faces = _faces(char) if self.fold else (char,)
        within = any(low <= face <= high for face in faces for low, high in self.ranges)
        return within is not self.negated


class AnyOf(NamedTuple):
    """What stands between brackets."""

    sets: tuple[Chars, ...]
    negated: bool

    def has(self, char: str) -> bool:
        return any(one.has(char) for one in self.sets) is not self.negated


Holds = Callable[[str, int], bool]


class One(NamedTuple):
    """A character of a set."""

    chars: Chars | AnyOf


class Here(NamedTuple):
    """A condition on a place between characters."""

    holds: Holds


class Row(NamedTuple):
    """One after the other."""

    parts: tuple["Node", ...]


class Either(NamedTuple):
    """One of several."""

    branches: tuple["Node", ...]


class Again(NamedTuple):
    """The same several times."""

    node: "Node"
    least: int
    most: int | None


Node = One | Here | Row | Either | Again
FLAGS = Row(())
"""What changes the meaning of what comes after it, and is nothing itself."""


class Pattern:
    """
    A regular expression.

    Raises:
        NotUnderstoodError: It is none, or is more than is read here.

    """

    def __init__(self, text: str) -> None:
        self._steps: list[tuple[Chars | AnyOf, int] | None] = []
        """For each state, which characters lead on, and where to."""
        self._free: list[list[tuple[Holds, int]]] = []
        """For each state, where it leads without a character, and on which condition."""
        self._end = self._state()
        self._begin = self._build(_Reader(text).read(), self._end)

    def fits(self, text: str) -> bool:
        """Return whether it describes the whole of *text*."""
        now = self._reached({self._begin}, text, 0)
        for at, char in enumerate(text):
            now = self._reached(
                {step[1] for state in now if (step := self._steps[state]) and step[0].has(char)},
                text,
                at + 1,
            )
        return self._end in now

    def _reached(self, states: set[int], text: str, at: int) -> set[int]:
        """Return *states* and all that can be reached from them without a character."""
        reached, open_ = set(states), list(states)
        while open_:
            for holds, state in self._free[open_.pop()]:
                if state not in reached and holds(text, at):
                    reached.add(state)
                    open_.append(state)
        return reached

    def _state(self, step: tuple[Chars | AnyOf, int] | None = None) -> int:
        if len(self._steps) >= MOST_STATES:
            raise NotUnderstoodError("it is too large")
        self._steps.append(step)
        self._free.append([])
        return len(self._steps) - 1

    def _fork(self, *ways: int) -> int:
        state = self._state()
        self._free[state] += [(_always, way) for way in ways]
        return state

    def _build(self, node: Node, then: int) -> int:
        """Return the state from which *node* leads to *then*."""
        match node:
            case One(chars):
                return self._state((chars, then))
            case Here(holds):
                state = self._state()
                self._free[state].append((holds, then))
                return state
            case Row(parts):
                for part in reversed(parts):
                    then = self._build(part, then)
                return then
            case Either(branches):
                return self._fork(*[self._build(branch, then) for branch in branches])
            case Again(inner, least, most):
                return self._repeat(inner, least, most, then)

    def _repeat(self, node: Node, least: int, most: int | None, then: int) -> int:
        end = then
        if most is None:
            then = self._fork(end)
            self._free[then].append((_always, self._build(node, then)))
        else:
            for _ in range(most - least):
                then = self._fork(end, self._build(node, then))
        for _ in range(least):
            then = self._build(node, then)
        return then


class _Reader:
    """Reads one pattern, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._flags = frozenset[str]()
        self._depth = 0

    def read(self) -> Node:
        node = self._either()
        if self._at < len(self._text):
            raise NotUnderstoodError("a parenthesis is closed that is not open")
        return node

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        char = self._peek()
        if not char:
            raise NotUnderstoodError("it ends too soon")
        self._at += 1
        return char

    def _took(self, what: str) -> bool:
        there = self._text.startswith(what, self._at)
        self._at += len(what) if there else 0
        return there

    def _found(self, what: re.Pattern[str]) -> re.Match[str] | None:
        found = what.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found

    def _either(self) -> Node:
        branches = [self._row()]
        while self._took("|"):
            branches.append(self._row())
        return branches[0] if len(branches) == 1 else Either(tuple(branches))

    def _row(self) -> Node:
        return Row(tuple(self._parts()))

    def _parts(self) -> Iterator[Node]:
        while self._peek() not in ("", "|", ")"):
            node = self._part()
            times = self._times()
            if times is not None and node is FLAGS:
                raise NotUnderstoodError("flags are repeated")  # RE2 repeats what is before them
            if times is not None:
                self._took("?")  # fewer first, or more: here they are all tried
                if self._times() is not None:
                    raise NotUnderstoodError("a repetition is repeated")
                least, most = times
                if _repeats(node) * max(least, most or 0, 1) > MOST_REPEATS:
                    raise NotUnderstoodError("it repeats too often")
                node = Again(node, least, most)
            yield node

    def _times(self) -> tuple[int, int | None] | None:
        """Return how often what came before is to come, where that is said here."""
        for sign, times in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._took(sign):
                return times
        found = self._found(REPEAT)
        if found is None:
            return None
        least = int(found[1][:5])
        most = int(found[3][:5]) if found[3] else None if found[2] else least
        if least > MOST_REPEATS or (most is not None and not least <= most <= MOST_REPEATS):
            raise NotUnderstoodError("it repeats too often")
        return least, most

    def _part(self) -> Node:
        if self._times() is not None:
            raise NotUnderstoodError("there is nothing to repeat")
        match self._take():
            case ".":
                newline = () if "s" in self._flags else (("\n", "\n"),)
                return One(Chars(newline, negated=True))
            case "^":
                return Here(_line_begins if "m" in self._flags else _text_begins)
            case "$":
                return Here(_line_ends if "m" in self._flags else _text_ends)
            case "(":
                return self._group()
            case "[":
                return One(self._brackets())
            case "\\":
                return self._escape()
            case char:
                return One(self._only(char))

    def _group(self) -> Node:
        flags = self._flags
        if self._peek() == "?":
            found = self._found(GROUP)
            if found is None:
                raise NotUnderstoodError("a group is of an unknown kind")
            inside = self._flags | set(found[1] or "")
            self._flags = inside - set(found[2] or "")
            if found[3] == ")":
                return FLAGS  # from here on, to the end of the group around
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotUnderstoodError("it is too deep")
        node = self._either()
        if not self._took(")"):
            raise NotUnderstoodError("a parenthesis is not closed")
        self._depth -= 1
        self._flags = flags
        return node

    def _escape(self) -> Node:
        places: dict[str, Holds] = {
            "A": _text_begins, "z": _text_ends, "b": _word_edge, "B": _no_word_edge,
        }  # fmt: skip
        char = self._peek()
        if char in places and char:
            return Here(places[self._take()])
        return One(self._perl() or self._only(self._escaped()))

    def _perl(self) -> Chars | None:
        char = self._peek()
        if not char or char.lower() not in PERL:
            return None
        self._at += 1
        return Chars(PERL[char.lower()], negated=char.isupper(), fold="i" in self._flags)

    def _escaped(self) -> str:
        r"""Return the character that stands after a ``\``."""
        if found := self._found(OCTAL):
            return chr(int(found[0], 8))
        char = self._take()
        if char == "x" and (found := self._found(HEX)):
            return self._char(int(found[1] or found[2], 16))
        if char in CONTROLS:
            return CONTROLS[char]
        if char.isascii() and not char.isalnum():
            return char
        raise NotUnderstoodError(f"\\{char} is not known here")

    def _char(self, number: int) -> str:
        try:
            return chr(number)
        except ValueError:
            raise NotUnderstoodError("there is no such character") from None

    def _only(self, char: str) -> Chars:
        return self._range(char, char)

    def _range(self, low: str, high: str) -> Chars:
        fold = "i" in self._flags
        if low > high:
            raise NotUnderstoodError("a range has its end first")
        if fold and not high.isascii():
            raise NotUnderstoodError("letters beyond ASCII have more than two cases")
        return Chars(((low, high),), fold=fold)

    def _brackets(self) -> AnyOf:
        negated = self._took("^")
        sets: list[Chars] = []
        while self._peek() != "]" or not sets:
            sets.append(self._inside())
        self._at += 1
        return AnyOf(tuple(sets), negated)

    def _inside(self) -> Chars:
        if self._took("[:"):
            name, closed, _ = self._text[self._at :].partition(":]")
            word = name.removeprefix("^")
            if not closed or word not in POSIX:
                raise NotUnderstoodError("a class is not known here")
            self._at += len(name) + 2
            return Chars(POSIX[word], negated=name != word, fold="i" in self._flags)
        if self._peek() == "\\":
            self._at += 1
            perl = self._perl()
            if perl is not None:
                return perl
            low = self._escaped()
        else:
            low = self._take()
        rest = self._text[self._at : self._at + 2]
        if len(rest) < 2 or rest[0] != "-" or rest[1] == "]":  # noqa: PLR2004 - a - and an end
            return self._only(low)
        self._at += 1
        return self._range(low, self._escaped() if self._took("\\") else self._take())


def _repeats(node: Node) -> int:
    """Return how often the innermost part of *node* may be counted off."""
    match node:
        case Again(inner, least, most):
            return _repeats(inner) * max(least, most or 0, 1)
        case Row(nodes) | Either(nodes):
            return max(map(_repeats, nodes), default=1)
        case _:
            return 1


def _faces(char: str) -> tuple[str, ...]:
    """Return every character that is *char* without regard to case, as far as ASCII goes."""
    small = next((one for one, odd in LONELY_FOLDS.items() if odd == char), char.lower())
    if not small.isascii():
        return (char,)
    odd = LONELY_FOLDS.get(small)
    return (small, small.upper()) if odd is None else (small, small.upper(), odd)


def _always(_text: str, _at: int) -> bool:
    return True


def _text_begins(_text: str, at: int) -> bool:
    return at == 0


def _text_ends(text: str, at: int) -> bool:
    return at == len(text)


def _line_begins(text: str, at: int) -> bool:
    return at == 0 or text[at - 1] == "\n"


def _line_ends(text: str, at: int) -> bool:
    return at == len(text) or text[at] == "\n"


def _word_edge(text: str, at: int) -> bool:
    before = at > 0 and WORD.has(text[at - 1])
    after = at < len(text) and WORD.has(text[at])
    return before is not after


def _no_word_edge(text: str, at: int) -> bool:
    return not _word_edge(text, at)


WORD = Chars(PERL["w"])
