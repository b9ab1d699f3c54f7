# Digits of pi by big integers: CPU, hardly any memory.   digits.rb COUNT
count = ARGV[0].to_i
q, r, t, k, n, l = 1, 0, 1, 1, 3, 3
made = 0
while made < count
  if 4 * q + r - t < n * t
    made += 1
    nr = 10 * (r - n * t)
    n = (10 * (3 * q + r)) / t - 10 * n
    q *= 10
    r = nr
  else
    nr = (2 * q + r) * l
    nn = (q * 7 * k + 2 + r * l) / (t * l)
    q *= k
    t *= l
    l += 2
    k += 1
    n = nn
    r = nr
  end
end
puts n
