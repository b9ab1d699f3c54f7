<?php // Reads a file into arrays: growth in doublings.   rows.php FILE PAUSE_US
$rows = [];
$n = 0;
foreach (new SplFileObject($argv[1]) as $line) {
    $rows[] = explode(' ', (string)$line);
    if (++$n % 500 == 0) usleep((int)$argv[2]);
}
usort($rows, fn($a, $b) => count($a) <=> count($b));
echo count($rows), "\n";
