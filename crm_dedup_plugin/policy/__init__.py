"""What a data steward sees in two records, decides and writes: `fields`, `evidence`, `policy`, `reasoning`."""
