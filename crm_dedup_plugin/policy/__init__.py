"""The policy: what the columns mean (`fields`), how values compare (`values`, `evidence`), what follows (`rules`), and why (`reasoning`)."""
