# Groups words of a text: growth.   hash.rb FILE PAUSE_S
groups = Hash.new { |hash, key| hash[key] = [] }
pause = ARGV[1].to_f
File.foreach(ARGV[0]).with_index do |line, number|
  line.split.each { |word| groups[word] << "#{number}:#{word}" }
  sleep pause if pause > 0 && number % 500 == 0
end
puts groups.size
