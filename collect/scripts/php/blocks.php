<?php // A plateau, then blocks at a pace.   blocks.php BASE_MIB WAIT_MS BLOCKS KIB PAUSE_US
[, $base, $wait, $blocks, $kib, $pause] = array_map('intval', $argv);
$held = [str_repeat('a', $base << 20)];
usleep($wait * 1000);
for ($i = 0; $i < $blocks; $i++) { $held[] = str_repeat(chr(65 + $i % 26), $kib << 10); usleep($pause); }
$sum = 0;
foreach ($held as $block) $sum += strlen(md5($block));
echo $sum, "\n";
