# Counts which words a log's sources use; the hash grows with every new pair.
use strict;
use warnings;
my %pairs;
while (my $line = <>) {
    my ($source, @words) = split ' ', $line;
    $pairs{"$source $_"}++ for @words;
}
print scalar(keys %pairs), " pairs\n";
