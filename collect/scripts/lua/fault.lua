-- Grows a little, then meets its own error.   fault.lua MIB ROUNDS
local mib, rounds = tonumber(arg[1]), tonumber(arg[2])
local held = {}
for i = 1, mib * 16 do
    held[i] = string.rep("x", 65536) .. i
    for _ = 1, rounds * 1000 do end
end
print(#held[mib * 16 + 1])
