"""Replaces the code of functions that were imported already."""

import gc
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

FUNCTION = 0x2
"""The flag of code with local variables of its own: not that of a module or class."""


def changed_functions(before: str, after: str) -> Mapping[str, CodeType]:
    """
    Return the new code of the functions, by qualified name, that differ in two texts of a module.

    Empty if something else differs too, such as a constant of the module or a default value.
    """
    found: dict[str, CodeType] = {}
    one, other = (compile(text, "", "exec", dont_inherit=True) for text in (before, after))
    return found if _compare(one, other, found) else {}


def _compare(one: CodeType, other: CodeType, found: dict[str, CodeType]) -> bool:
    """Add the functions that differ to *found*; return whether nothing else differs."""
    inner, inner_other = list(_inner(one)), list(_inner(other))
    if one.co_flags & FUNCTION:
        if _shape(one, deep=True) != _shape(other, deep=True):
            if one.co_qualname in found or one.co_freevars != other.co_freevars:
                return False
            found[other.co_qualname] = other
        return True
    if _shape(one) != _shape(other) or len(inner) != len(inner_other):
        return False
    names = [code.co_qualname for code in inner]
    return len(names) == len({*names}) and all(
        _compare(*pair, found) for pair in zip(inner, inner_other, strict=True)
    )


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (value for value in code.co_consts if isinstance(value, CodeType))


def _shape(code: CodeType, *, deep: bool = False) -> tuple[Any, ...]:
    """Return what makes *code* differ, without its place; if *deep*, with the code inside it."""
    constants = tuple(
        (_shape(value, deep=True) if deep else ()) if isinstance(value, CodeType) else repr(value)
        for value in code.co_consts
    )
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return code.co_code, constants, names, code.co_flags, code.co_exceptiontable


class ImportedFunctions:
    """The functions that are imported now, by the file and qualified name of their code."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], list[FunctionType]] = {}
        for one in gc.get_objects():
            if isinstance(one, FunctionType):
                name = (one.__code__.co_filename, one.__code__.co_qualname)
                self._found.setdefault(name, []).append(one)

    def replace(self, file: str, codes: Mapping[str, CodeType]) -> bool:
        """Give functions of the module *file* their new *codes*; return whether all were found."""
        return all(self._replace((file, name), code) for name, code in codes.items())

    def _replace(self, name: tuple[str, str], code: CodeType) -> bool:
        found = self._found.get(name, [])
        for function in found:
            if function.__code__.co_freevars != code.co_freevars:
                return False
            function.__code__ = code
        return bool(found)
