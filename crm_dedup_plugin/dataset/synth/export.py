"""Write the export of a CRM and its truth: ``crm-dedup synth --export 10000 --crm hubspot --out data/export.csv``."""

import csv
import datetime
import json
import random
import string
import uuid
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

from crm_dedup_plugin.dataset.synth.contacts import TABLES, Contact, Texts, contacts
from crm_dedup_plugin.dataset.synth.generate import Dice
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.provenance import digest
from crm_dedup_plugin.storage import whole, write_atomically

CRMS = tuple(TABLES["crms"])
POOL = 20_000  # records of which the next one is drawn, so that those of a person lie apart
_FIRST, _DAYS = datetime.datetime(2016, 1, 4, 8, 0), 3600.0  # when the CRM was new, and how long it was filled
_CONCEPTS = (
    *("id", "first", "last", "email", "work_email", "home_email", "other_emails", "phone", "mobile", "company", "company_id", "company_ids", "role"),
    *("street", "city", "postcode", "country", "birth", "website", "notes", "domain", "created", "changed", "merged", "checksum", "nothing"),
)
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase


def truth_of(out: Path) -> Path:
    """Return the file that says who is who in an export: id, entity."""
    return out.with_name(f"{out.stem}.truth.csv")


def ending(crm: str) -> str:
    """Return how the name of a CRM's exports ends: "csv" or "xlsx"."""
    return TABLES["crms"][crm].get("file", "csv")


def write(rows: int, seed: int, out: Path, crm: str = "hubspot", force: bool = False) -> dict:
    """Write an export of `rows` contacts to `out`, who is who (id, entity) to `out`.truth.csv and counts to `out`.card.json; return these.

    Raises UserError where a file would be lost. Nothing is left of an interrupted run.
    """
    if crm not in CRMS:
        raise UserError(f"{crm} is unknown: choose among {', '.join(CRMS)}")
    if rows < 1:
        raise UserError(f"{rows} records cannot be generated: ask for at least 1, as in --export 10000")
    table, kind, truth = TABLES["crms"][crm], ending(crm), truth_of(out)
    if out.suffix.lower() != f".{kind}":
        raise UserError(f"{out}: an export of {crm} is a file that ends with .{kind}: name one with --out")
    if found := [path for path in (out, truth) if path.exists() and not force]:
        raise UserError(f"{found[0]} exists: move it away, name another file with --out, or add --force to replace it")
    counts, filled = Counter(), Counter()
    with whole(out) as partial, whole(truth) as partial_truth, partial_truth.open("w", encoding="utf-8", newline="") as file:
        who = csv.writer(file)
        who.writerow(("id", "entity"))
        made = tqdm(export(rows, seed, crm), total=rows, unit=" rows", mininterval=1.0)
        _SAVERS[kind](partial, table, _counted(made, table, who, counts, filled))
    entities = {str(size): counts[size] // size for size in sorted(counts)}
    card = {
        **{"command": f"crm-dedup synth --export {rows} --crm {crm} --seed {seed}", "seed": seed, "sha256": digest([out]), "rows": rows},
        **{"entities": sum(entities.values()), "entities_by_records": entities, "rows_in_groups": rows - counts[1], "filled": dict(filled)},
    }
    write_atomically(out.with_name(f"{out.stem}.card.json"), json.dumps(card, indent=2) + "\n")
    return card


def export(rows: int, seed: int, crm: str) -> Iterator[tuple[str, Contact, list[str]]]:
    """Yield `rows` records in the order of their creation: id, contact and the cells of the CRM's columns; equal arguments give equal rows."""
    table, rng = TABLES["crms"][crm], Dice(f"{seed} export {crm}")
    _check(table["columns"])
    for number, contact in enumerate(_apart(contacts(rows, seed, table, rng), rng)):
        values = dict.fromkeys(_CONCEPTS, "") | contact.texts | _administration(number, rows, table, rng)
        _spread(values, table, rng)
        yield values["id"], contact, [_cell(templates, values, rng) for templates in table["columns"].values()]


def _check(columns: dict[str, tuple[str, ...]]) -> None:
    for header, templates in columns.items():
        named = {name for template in templates for _, name, _, _ in string.Formatter().parse(template) if name is not None}
        if unknown := sorted(named - set(_CONCEPTS)):
            raise UserError(f"vocabulary/exports.yml: {header}: unknown value {unknown[0]!r}: use one of {', '.join(_CONCEPTS)}")


def _cell(templates: tuple[str, ...], values: Texts, rng: random.Random) -> str:
    if not templates:
        return ""
    template = templates[0] if len(templates) == 1 else rng.choice(templates)
    return template.format_map(values).strip(" ,") if "{" in template else template.strip()


def _apart(records: Iterable[Contact], rng: random.Random) -> Iterator[Contact]:
    """Yield the records in another order, with no more than a pool of them in memory."""
    pool = []
    for record in records:
        if len(pool) < POOL:
            pool.append(record)
            continue
        place = rng.randrange(POOL)
        pool[place], record = record, pool[place]
        yield record
    rng.shuffle(pool)
    yield from pool


def _administration(number: int, rows: int, table: dict, rng: random.Random) -> Texts:
    """Return what the CRM itself keeps of a record: its id, its dates, which records it swallowed."""
    day = _DAYS * (number + rng.random()) / rows
    created = _FIRST + datetime.timedelta(days=day)
    changed = created + datetime.timedelta(days=(_DAYS - day) * rng.random() ** 2)
    swallowed = [7 * rng.randrange(number + 1) + 5 + rng.randrange(2) for _ in range(rng.randint(1, 3) if rng.random() < 0.02 else 0)]
    return {
        **{"id": identifier(table["ids"], "003", 7 * number + rng.randrange(5)), "checksum": f"{rng.getrandbits(128):032x}"},
        **{"created": table["dates"].format(created), "changed": table["dates"].format(changed)},
        "merged": ";".join(identifier(table["ids"], "003", old) for old in sorted(set(swallowed))),
    }


def _spread(values: Texts, table: dict, rng: random.Random) -> None:
    """Fill the columns that show a value once more, or a second one."""
    email, domain = values["email"], values["domain"]
    values["work_email" if domain and email.lower().endswith(domain) else "home_email"] = email
    if values["company"] and domain:
        own = zlib.crc32(domain.encode())
        values["company_id"] = identifier(table["ids"], "001", own)
        values["company_ids"] = f"{values['company_id']};{identifier(table['ids'], '001', own // 3 + rng.randrange(9))}"
    if "several" in table and values["phone"] and values["mobile"] and rng.random() < 0.1:
        values["phone"] += table["several"] + values["mobile"]


def identifier(kind: str, prefix: str, number: int) -> str:
    """Return the id of a record: `kind` is "number", "guid", "zoho" or "salesforce" (18 characters, with `prefix` for what it is of)."""
    if kind == "number":
        return str(51_000_000 + number)
    if kind == "zoho":
        return f"zcrm_{554_023_000_000_000_000 + number}"
    if kind == "guid":
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{prefix} {number}"))
    text = ""
    for _ in range(12):
        number, place = divmod(number, len(_DIGITS))
        text = _DIGITS[place] + text
    short = f"{prefix}{text}"
    checks = (sum(short[start + place].isupper() << place for place in range(5)) for start in (0, 5, 10))
    return short + "".join((string.ascii_uppercase + "012345")[check] for check in checks)


def _counted(made: Iterable, table: dict, who, counts: Counter, filled: Counter) -> Iterator[list[str]]:
    """Yield the cells of each record; write down whose it is and count what it has."""
    headers = list(table["columns"])
    for name, contact, cells in made:
        who.writerow((name, contact.person))
        counts[contact.records] += 1
        filled.update(header for header, cell in zip(headers, cells, strict=True) if cell)
        yield cells


def _save_csv(path: Path, table: dict, rows: Iterable[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL if "quoted" in table else csv.QUOTE_MINIMAL)
        writer.writerow(table["columns"])
        writer.writerows(rows)


def _save_xlsx(path: Path, table: dict, rows: Iterable[list[str]]) -> None:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Contacts")
    sheet.append(list(table["columns"]))
    for cells in rows:
        sheet.append([cell or None for cell in cells])
    for letter in "ABC":
        sheet.column_dimensions[letter].hidden = True
    book.save(path)


_SAVERS = {"csv": _save_csv, "xlsx": _save_xlsx}
