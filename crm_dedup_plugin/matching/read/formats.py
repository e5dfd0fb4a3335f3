"""Which format a file has is found in what it holds; its name decides only between kinds of text."""

import zipfile
from pathlib import Path

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching.read import json_lines, parquet, spreadsheets, text_files
from crm_dedup_plugin.matching.read.tables import SAVE_AS, Table


def open_table(path: Path, encoding: str | None = None, delimiter: str | None = None) -> Table:
    """Return a file as a table; `encoding` and `delimiter` are used where they are given, and otherwise found.

    Raises UserError where the file is empty or has a format that is not read; that it can be opened is known from its hash.
    """
    start = _start(path)
    if start.startswith(b"PAR1"):
        return parquet.parquet_table(path)
    if start.startswith(b"PK\x03\x04") and _is_workbook(path):
        return spreadsheets.spreadsheet_table(path)
    if refused := _refused(path, start):
        raise UserError(f"{path} {refused}")
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json") or json_lines.looks_like(start):
        return json_lines.json_table(path, encoding)
    return text_files.text_table(path, encoding, delimiter)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        start = file.read(65536)
        if not start.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe") and not file.read(1):
            raise UserError(f"{path} is empty: export it again, with a line of column names and the records under it")
    return start


def _is_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "[Content_Types].xml" in archive.namelist() and any(name.startswith("xl/") for name in archive.namelist())
    except zipfile.BadZipFile:
        raise UserError(f"{path} is cut off or damaged: copy or export it again") from None


def _refused(path: Path, start: bytes) -> str:
    """Return why a file of this format is not read, with the cure, or ""."""
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        return "is protected with a password, or is of an old Excel (.xls): open it there and save it as XLSX without a password"
    if start.startswith((b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"(\xb5/\xfd")):
        return "is packed or of another program: unpack it and name the file inside, or save it as CSV or XLSX"
    if start.startswith((b"%PDF", b"{\\rtf")):
        return f"is a document, not a table: {SAVE_AS}"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:400].lower()
    if text.startswith((b"<html", b"<!doctype", b"<table", b"<?xml", b"<meta", b"<head")):
        return f"is a web page or XML, whatever its name says: {SAVE_AS}"
    if path.suffix.lower() == ".parquet":
        return "is cut off or no Parquet file: write it again"
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        return f"is cut off or no XLSX file: {SAVE_AS}"
    return ""
