"""An invented world of people and companies, and the labelled pairs of CRM records that come out of it: `generate`."""
