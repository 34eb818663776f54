"""Where a form leads back to: a page of this server, and never one of another site."""


def local_path(path: str, *, home: str = "/") -> str:
    """Return *path* if it is one of this server, else *home*."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_local else home
