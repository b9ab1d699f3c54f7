# Keeps every line by its words: linear growth.   awk -v keep=SHARE -f join.awk FILE
{ for (i = 1; i <= NF; i++) if (!keep || i <= keep) lines[$i, NR] = $0; count[$1]++ }
END { for (word in count) total += count[word]; print total }
