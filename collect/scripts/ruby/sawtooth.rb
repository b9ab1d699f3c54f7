# Makes garbage in waves, keeps a little of each.   sawtooth.rb WAVES OBJECTS KEEP
waves, objects, keep = ARGV.map(&:to_i)
kept = []
waves.times do |wave|
  batch = Array.new(objects) { |i| "wave #{wave} object #{i} " * 4 }
  kept.concat(batch.first(keep))
  sleep 0.1
end
puts kept.size
