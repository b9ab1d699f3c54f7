# Appends to a few strings by turns, drops one now and then.   strings.tcl ROUNDS KIB DROP_EVERY
lassign $argv rounds kib drop
for {set i 0} {$i < $rounds} {incr i} {
    append held([expr {$i % 7}]) [string repeat "abcdefgh[expr {$i % 97}]" [expr {$kib * 100}]]
    if {$drop && $i % $drop == $drop - 1} { unset -nocomplain held([expr {($i * 3) % 7}]) }
    for {set j 0} {$j < 4000} {incr j} {}
}
puts [array size held]
