-- Makes objects, keeps a share of them: growth under a garbage collector.   objects.lua COUNT KEEP_PERMILLE SIZE
local count, keep, size = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3])
local kept = {}
for i = 1, count do
    local object = { id = i, text = string.rep("x", size) .. i }
    if (i * 7919) % 1000 < keep then kept[#kept + 1] = object end
end
print(#kept)
