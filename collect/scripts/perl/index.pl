# Indexes the words of a text by line.   index.pl FILE PAUSE_S
use strict; use warnings; use Time::HiRes 'sleep';
my ($file, $pause) = @ARGV;
open my $in, '<', $file or die "$file: $!";
my (%lines, $number);
while (my $line = <$in>) {
    $number++;
    push @{$lines{$_}}, $number for split ' ', $line;
    sleep $pause if $pause && $number % 1000 == 0;
}
my @often = sort { @{$lines{$b}} <=> @{$lines{$a}} } keys %lines;
print scalar(@often), "\n";
