# Fills a table without any input.   awk -v rows=N -v width=N -f table.awk
BEGIN { for (i = 0; i < rows; i++) { cell = sprintf("%0" width "d", i); table[i] = cell; if (i % 3 == 0) delete table[i / 3] }
        n = asort(table); print n }
