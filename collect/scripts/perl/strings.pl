# Joins and cuts ever longer strings: doublings and falls.   strings.pl ROUNDS MIB PAUSE_S
use strict; use warnings; use Time::HiRes 'sleep';
my ($rounds, $mib, $pause) = @ARGV;
for my $round (1 .. $rounds) {
    my $text = 'x' x 1024;
    $text .= $text, sleep $pause while length $text < $mib * 1048576 / ($rounds - $round + 1);
    my $count = ($text =~ tr/x//);
    print "$round $count\n";
}
