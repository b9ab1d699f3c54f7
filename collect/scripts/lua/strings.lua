-- Grows a list of strings in bursts.   strings.lua BURSTS MIB
local bursts, mib = tonumber(arg[1]), tonumber(arg[2])
local held = {}
for burst = 1, bursts do
    for i = 1, mib * 16 do held[#held + 1] = string.rep(string.char(65 + i % 26), 65536) .. burst .. i end
    local until_time = os.clock() + 0.4
    while os.clock() < until_time do end
    if burst % 3 == 0 then held = {}; collectgarbage() end
end
print(#held)
