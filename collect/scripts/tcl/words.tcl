# Counts words in a dictionary, and where they stand.   words.tcl FILE
set file [open [lindex $argv 0]]
set number 0
while {[gets $file line] >= 0} {
    incr number
    foreach word [split $line] { dict lappend places $word $number }
}
puts [dict size $places]
