"""Show it: the report of a run, comparisons, the terminal, and mirrors of the record. Reads run folders only."""
