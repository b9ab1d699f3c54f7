# Counts pairs of words that follow each other; forgets the rare ones now and then.   -v every=LINES
{
    for (i = 2; i <= NF; i++) seen[$(i - 1) " " $i]++
    if (every && NR % every == 0) for (pair in seen) if (seen[pair] < 2) delete seen[pair]
}
END { for (pair in seen) n++; print n }
