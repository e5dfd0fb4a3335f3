"""When a record was made or changed, in the ways that CRMs and spreadsheets write it, as ISO 8601.

>>> to_iso("12.03.2024 09:14"), to_iso("3/12/2024 9:14 PM"), to_iso("2024-03-12T09:14:22.000+0000"), to_iso("45363")
('2024-03-12T09:14:00', '2024-03-12T21:14:00', '2024-03-12T09:14:22+00:00', '2024-03-12')
"""

import datetime
import re
from collections.abc import Iterable
from functools import lru_cache

DAY_FIRST, MONTH_FIRST = "day_first", "month_first"
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_PLAIN = re.compile(r"(\d{1,2})([-/.])(\d{1,2})[-/.](\d{4}|\d{2})(?!\d)")
_NAMED = re.compile(r"(?:(\d{1,2})\.?[- ])?([A-Za-z]{3,9})\.?[- ](?:(\d{1,2}),?[- ])?(\d{4})")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?:[.,]\d+)?\s*([AaPp]\.?\s?[Mm]\.?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?")
_MONTHS = {name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)}
_MONTHS |= {"mai": 5, "mär": 3, "mrz": 3, "okt": 10, "dez": 12}
_EXCEL, _UNIX = datetime.datetime(1899, 12, 30), datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_SERIAL, _SECONDS, _MILLISECONDS = re.compile(r"\d{5}(?:[.,]\d+)?"), re.compile(r"\d{10}"), re.compile(r"\d{13}")
_LAST_SERIAL = 73051  # the year 2100


def order(values: Iterable[str]) -> str | None:
    """Return whether dates like 3/12/2024 begin with the day or the month, or None where no value shows it."""
    found = {DAY_FIRST: 0, MONTH_FIRST: 0}
    for value in values:
        if match := _PLAIN.match(value.strip()):
            first, second = int(match[1]), int(match[3])
            found[DAY_FIRST] += first > 12 or match[2] == "."
            found[MONTH_FIRST] += second > 12
    return max(found, key=found.get) if any(found.values()) else None


@lru_cache(maxsize=65536)
def to_iso(value: str, first: str | None = None) -> str | None:
    """Return a written moment as ISO 8601, a date alone where no time is written, or None where it is no date.

    `first` is the order of 3/12/2024; where it is None, the month comes first, unless dots separate.
    """
    text = value.strip()
    try:
        if _MILLISECONDS.fullmatch(text):
            return (_UNIX + datetime.timedelta(milliseconds=int(text))).isoformat(timespec="seconds")
        if _SECONDS.fullmatch(text):
            return (_UNIX + datetime.timedelta(seconds=int(text))).isoformat()
        return serial(text) or _written(text, first)
    except (ValueError, OverflowError):
        return None


def serial(text: str) -> str | None:
    """Return the date that a number of a spreadsheet stands for: days since 1899-12-30.

    >>> serial("29221"), serial("45363.5"), serial("123456")
    ('1980-01-01', '2024-03-12T12:00:00', None)
    """
    if not _SERIAL.fullmatch(text) or not 1000 <= (days := float(text.replace(",", "."))) < _LAST_SERIAL:
        return None
    moment = _EXCEL + datetime.timedelta(seconds=round(days * 86400))
    return moment.date().isoformat() if moment.time() == datetime.time() else moment.isoformat()


def _written(text: str, first: str | None) -> str | None:
    if match := _ISO.match(text):
        year, month, day = map(int, match.groups())
    elif match := _PLAIN.match(text):
        day, month, year = int(match[1]), int(match[3]), int(match[4])
        if (first != DAY_FIRST and not (first is None and match[2] == ".") and day <= 12) or month > 12:
            day, month = month, day
        year += 0 if year > 99 else 2000 if year < 70 else 1900
    elif match := _NAMED.search(text):
        day, month, year = int(match[1] or match[3] or 1), _MONTHS.get(match[2][:3].lower(), 0), int(match[4])
    else:
        return None
    date, time = datetime.date(year, month, day), _TIME.search(text, match.end())
    return f"{date.isoformat()}T{_time(time)}" if time else date.isoformat()


def _time(match: re.Match) -> str:
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if match[4]:
        hour = hour % 12 + (12 if match[4][0] in "pP" else 0)
    zone = match[5] or ""
    zone = "+00:00" if zone in ("Z", "UTC", "GMT") else f"{zone[:3]}:{zone[-2:]}" if zone else ""
    return f"{datetime.time(hour, minute, second).isoformat()}{zone}"
