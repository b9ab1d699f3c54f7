# A tree of hashes, depth first: steep growth.   tree.pl DEPTH FANOUT PAUSE_S
use strict; use warnings; use Time::HiRes 'sleep';
my ($depth, $fanout, $pause) = @ARGV;
my $made = 0;
sub grow { my ($level) = @_;
    sleep $pause if $pause && ++$made % 3000 == 0;
    return { level => $level, name => "node $level" } if $level == 0;
    return { level => $level, below => [map { grow($level - 1) } 1 .. $fanout] };
}
my $tree = grow($depth);
print "$made\n";
