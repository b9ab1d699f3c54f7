# Takes its matrices at once, then computes.   matrix.R N ROUNDS
given <- as.numeric(commandArgs(trailingOnly = TRUE))
a <- matrix(rnorm(given[1]^2), given[1])
for (round in seq_len(given[2])) a <- (a %*% a) / max(abs(a))
cat(sum(diag(a)), "\n")
