# Keeps vectors in a list, some of them.   lists.R COUNT LENGTH KEEP_SHARE
given <- as.numeric(commandArgs(trailingOnly = TRUE))
set.seed(7)
kept <- list()
for (i in seq_len(given[1])) {
    values <- sort(runif(given[2]))
    if (runif(1) < given[3]) kept[[length(kept) + 1]] <- values
}
cat(length(kept), "\n")
