# Floating point in loops: CPU and nothing else.   crunch.pl ROUNDS
use strict; use warnings;
my ($x, $sum) = (0.1, 0);
for (1 .. $ARGV[0] * 100000) { $x = 3.9 * $x * (1 - $x); $sum += $x }
printf "%.6f\n", $sum;
