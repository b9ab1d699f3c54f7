# Remembers for each word and column the line it was last seen in.
{ for (i = 1; i <= NF; i++) last[$i, i] = $0 }
END { n = 0; for (k in last) n++; print n, "places" }
