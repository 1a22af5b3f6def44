"""The error that reading a JPEG raises."""

from __future__ import annotations


class JPEGError(ValueError):
    """A file that cannot be read: names the file, the byte offset and the reason.

    ``source`` is the path, or a description such as ``"<bytes>"``; ``offset`` the byte where reading stopped (None where
    there is none); ``reason`` the sentence that says what is wrong and, where something can be done, what to do.
    """

    def __init__(self, source: str, offset: int | None, reason: str):
        self.source, self.offset, self.reason = source, offset, reason
        where = "" if offset is None else f", byte {offset}"
        super().__init__(f"{source}{where}: {reason}")

    def __reduce__(self) -> tuple[type[JPEGError], tuple[str, int | None, str]]:
        return type(self), (self.source, self.offset, self.reason)
