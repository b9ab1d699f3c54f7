<?php // Hashes in a loop.   crunch.php ROUNDS
$x = 'forestall';
for ($i = 0; $i < $argv[1] * 1000; $i++) $x = hash('sha256', $x);
echo $x, "\n";
