"""An invented world of people and companies, and the labelled pairs of CRM records that come out of it.

The way of a pair through the files:
1. `countries` offers names, addresses and numbers, out of the tables in `dataset/vocabulary/`; `world` makes companies and people of them.
2. `cases` draws what the pair is about: one person who moved, two namesakes, a branch (a `Case`).
3. `crm_records` writes the case down twice: chosen fields, in the `formats` of a CRM, with `mistakes`.
4. `generate` lets the policy decide, drops what it decides otherwise, and keeps single records from telling (`label_balance`).
5. `lists` and `list_records` do the same for lists that are no CRM, where the label is the truth itself.
6. `write` writes the rows to a file and counts them for its card.
"""
