"""One file per feed, one function per rule, vectorised."""
