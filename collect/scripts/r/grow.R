# Binds data frames together piece by piece: stairs, copied each time.   grow.R PIECES ROWS
given <- as.numeric(commandArgs(trailingOnly = TRUE))
held <- NULL
for (piece in seq_len(given[1])) {
    rows <- data.frame(id = seq_len(given[2]), value = rnorm(given[2]), name = paste0("n", sample.int(1e6, given[2], TRUE)))
    held <- rbind(held, rows)
    by_group <- aggregate(value ~ I(id %% 97), data = rows, FUN = mean)
}
cat(nrow(held), "\n")
