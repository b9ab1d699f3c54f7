-- Multiplies matrices: rises to its need at once, then computes.   matrix.lua N
local n = tonumber(arg[1])
local function make(seed)
    local m = {}
    for i = 1, n do m[i] = {}; for j = 1, n do m[i][j] = (i * seed + j) % 17 end end
    return m
end
local a, b, sum = make(3), make(5), 0
for i = 1, n do for j = 1, n do
    local cell = 0
    for k = 1, n do cell = cell + a[i][k] * b[k][j] end
    sum = sum + cell
end end
print(sum)
